// Asks the browser for its authenticator and puts what it says into a form that the browser then sends as any other.
// The gateway asks, the accounts' room verifies; nothing here decides anything.
"use strict";
(() => {
  const said = document.getElementById("passkey-said");
  const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const tell = (words) => {
    said.firstElementChild.textContent = words;
    said.hidden = false;
  };
  const ask = async (path, fields) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(fields),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(`${told.ja} ${told.remedy_ja}`);
    return told;
  };
  // A refusal of ours has words; one of the browser's has a name.
  const why = (error) => {
    if (error.name === "InvalidStateError" && said.dataset.held) return said.dataset.held;
    if (error.name === "Error") return error.message;
    return error.name === "NotAllowedError" || error.name === "AbortError" ? said.dataset.cancelled : said.dataset.none;
  };
  const sends = (form, prepare) => {
    const button = form.querySelector("button");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      said.hidden = true;
      try {
        const fields = await prepare();
        for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
        form.submit();
      } catch (error) {
        tell(why(error));
      } finally {
        button.disabled = false;
      }
    });
  };

  const here = document.getElementById("passkey-sign-in");
  const fresh = document.getElementById("passkey-new");
  if (!window.PublicKeyCredential) {
    if (fresh) tell(said.dataset.none);
    return;
  }
  if (here) {
    here.hidden = false;
    sends(here, async () => {
      const asked = await ask("/sign-in/passkey/challenge", {});
      const made = await navigator.credentials.get({
        publicKey: {
          challenge: octets(asked.challenge),
          rpId: asked.rp,
          userVerification: "required",
          timeout: asked.timeout_ms,
        },
      });
      const { response } = made;
      return {
        challenge: asked.challenge,
        credential: text(made.rawId),
        person: response.userHandle ? new TextDecoder().decode(response.userHandle) : "",
        client_data: text(response.clientDataJSON),
        authenticator_data: text(response.authenticatorData),
        signature: text(response.signature),
      };
    });
  }
  if (fresh) {
    const password = document.getElementById("password");
    sends(fresh, async () => {
      const asked = await ask("/passkeys/offer", { password: password.value });
      const made = await navigator.credentials.create({
        publicKey: {
          challenge: octets(asked.challenge),
          rp: { id: asked.rp, name: asked.realm },
          user: { id: new TextEncoder().encode(asked.person), name: asked.login, displayName: asked.name },
          pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })),
          excludeCredentials: asked.held.map((id) => ({ type: "public-key", id: octets(id) })),
          authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
          attestation: "none",
          timeout: asked.timeout_ms,
        },
      });
      return {
        challenge: asked.challenge,
        client_data: text(made.response.clientDataJSON),
        attestation: text(made.response.attestationObject),
      };
    });
  }
})();
