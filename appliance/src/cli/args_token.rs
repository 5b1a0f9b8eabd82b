//! What somebody types about the token that holds the authorities' keys. Pure declarations. The PIN is in a file, never here.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pki::ceremony::Origin;

use crate::token::TokenWishes;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Keys {
    /// 装置の中で作る / made in the token
    New,
    /// 装置にあるものを使う / already in the token
    Existing,
}

#[derive(Debug, Args)]
pub struct TokenArgs {
    /// 認証局の鍵を装置（HSM、トークン、TPM）に置くとき、そのPKCS #11モジュール / PKCS #11 module of the token that holds the
    /// authorities' keys
    #[arg(long, value_name = "FILE", requires_all = ["token_label", "token_pin_file"])]
    pub token_module: Option<PathBuf>,
    /// 装置の名前 / the token's label
    #[arg(long, value_name = "LABEL", requires = "token_module")]
    pub token_label: Option<String>,
    /// 装置のPINを書いたファイル（0600）。中身は領域に写されます / file (mode 0600) of its PIN; the realm keeps a copy
    #[arg(long, value_name = "FILE", requires = "token_module")]
    pub token_pin_file: Option<PathBuf>,
    /// 鍵を新しく作るか、あるものを使うか / where its keys come from
    #[arg(long, value_enum, default_value = "new", requires = "token_module")]
    pub token_keys: Keys,
    /// 鍵の名前の前半（…-device-ca、…-server-ca） / what the keys' labels begin with
    #[arg(long, value_name = "NAME", default_value = "mimamori", requires = "token_module")]
    pub token_prefix: String,
    /// モジュールが書くフォルダー（何度でも） / folder that the module writes, may be repeated
    #[arg(long, value_name = "DIR", requires = "token_module")]
    pub token_writes: Vec<PathBuf>,
    /// モジュールが読み直すファイル（何度でも） / file that the module reads again, may be repeated
    #[arg(long, value_name = "FILE", requires = "token_module")]
    pub token_reads: Vec<PathBuf>,
}

impl TokenArgs {
    /// None: the keys are sealed files.
    pub fn wishes(self) -> Option<TokenWishes> {
        let origin = match self.token_keys {
            Keys::New => Origin::Made,
            Keys::Existing => Origin::Found,
        };
        Some(TokenWishes {
            module: self.token_module?,
            label: self.token_label?,
            pin_file: self.token_pin_file?,
            prefix: self.token_prefix,
            origin,
            writes: self.token_writes,
            reads: self.token_reads,
        })
    }
}
