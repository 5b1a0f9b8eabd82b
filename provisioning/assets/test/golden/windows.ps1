# みまもり 18-0042 の本登録
# Windows 11、TPM 2.0、WireGuard が要ります。仮の接続を入れ、ルート証明書を入れてから動かしてください。
#   powershell -ExecutionPolicy Bypass -File .\mimamori-18-0042.ps1
# 証明書の鍵は TPM の中で作られ、取り出せません。用紙の番号とパスワードは画面で聞き、どこにも残しません。
#requires -Version 5.1
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$slot = '18-0042'
$realm = 'みまもり試験'
$facility = 'さくら <医院>'
$claim = 'https://claim.mimamori.example.jp'
$friendly = 'みまもり 18-0042'
$rootPrint = 'abababababababababababababababababababababababababababababababab'

function Stop-Here([string]$text) {
    Write-Host $text -ForegroundColor Red
    exit 1
}

function Read-Hidden([string]$prompt) {
    $secure = Read-Host $prompt -AsSecureString
    $at = [Runtime.InteropServices.Marshal]::SecureStringToBSTR($secure)
    try { [Runtime.InteropServices.Marshal]::PtrToStringBSTR($at) }
    finally { [Runtime.InteropServices.Marshal]::ZeroFreeBSTR($at) }
}

# wg.exe reads one line that ends in a line feed alone; a pipe of PowerShell would write two octets.
function Invoke-Wg([string]$verb, [string]$line) {
    $start = New-Object Diagnostics.ProcessStartInfo $wg, $verb
    $start.UseShellExecute = $false
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $process = [Diagnostics.Process]::Start($start)
    if ($line) { $process.StandardInput.Write($line + "`n") }
    $process.StandardInput.Close()
    $said = $process.StandardOutput.ReadToEnd().Trim()
    $process.WaitForExit()
    if ($process.ExitCode -ne 0) { Stop-Here "wg $verb が失敗しました。" }
    $said
}

function Save-Text([string]$path, [string]$text) {
    [IO.File]::WriteAllText($path, $text, (New-Object Text.UTF8Encoding $false))
}

$wg = Join-Path $env:ProgramFiles 'WireGuard\wg.exe'
if (-not (Test-Path -LiteralPath $wg)) { Stop-Here 'WireGuard を先に入れてください。' }
Write-Host ($realm + ' 本登録')
Write-Host ($facility + ' VPN番号 ' + $slot)
$number = Read-Host '証明書取得用No（用紙の10けた）'
$password = Read-Hidden '用紙のパスワード'
$own = Read-Hidden '施設内管理者の方は、これから使うご自身のパスワード（ほかの方はEnter）'

$work = Join-Path ([IO.Path]::GetTempPath()) ('mimamori-' + [Guid]::NewGuid().ToString('N'))
[void](New-Item -ItemType Directory -Path $work)
try {
    $inf = Join-Path $work 'request.inf'
    $csr = Join-Path $work 'request.csr'
    # certreq takes Japanese in UTF-16.
    [IO.File]::WriteAllText($inf, @"
[Version]
Signature="`$Windows NT`$"
[NewRequest]
Subject="CN=$slot"
ProviderName="Microsoft Platform Crypto Provider"
KeyAlgorithm=ECDSA_P256
KeyLength=256
KeyUsage=0x80
HashAlgorithm=sha256
Exportable=FALSE
MachineKeySet=FALSE
RequestType=PKCS10
SMIME=FALSE
FriendlyName="$friendly"
[EnhancedKeyUsageExtension]
OID=1.3.6.1.5.5.7.3.2
"@, [Text.Encoding]::Unicode)
    & certreq.exe -new -q $inf $csr | Out-Null
    if ($LASTEXITCODE -ne 0) { Stop-Here 'TPM で鍵を作れませんでした。TPM 2.0 が有効か確かめ、なければ本登録のページから登録してください。' }
    $request = (Get-Content -LiteralPath $csr | Where-Object { $_ -notmatch '^-----' }) -join ''
    $key = Invoke-Wg 'genkey' ''
    $body = @{
        number = $number
        password = $password
        wireguard_public_key = (Invoke-Wg 'pubkey' $key)
        certificate_request = $request
        label = $env:COMPUTERNAME
    }
    if ($own) { $body.admin_password = $own }
    $json = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -Compress $body))
    try {
        $answer = Invoke-RestMethod -Method Post -Uri ($claim + '/claim') -Headers @{ Origin = $claim } `
            -ContentType 'application/json' -Body $json -TimeoutSec 60 -UseBasicParsing
    } catch {
        $told = "$($_.ErrorDetails)"
        try { $problem = ConvertFrom-Json $told; $told = $problem.code + ' ' + $problem.ja + ' ' + $problem.remedy_ja } catch { }
        Stop-Here ('登録できませんでした。 ' + $told + ' ' + $_.Exception.Message)
    }
    if ($answer.slot -ne $slot) { Stop-Here 'ほかの番号の返事が届きました。事務局に電話してください。' }

    $parts = @($answer.certificate_chain -split '(?<=-----END CERTIFICATE-----)' | Where-Object { $_.Trim() })
    $device = Join-Path $work 'device.crt'
    $ca = Join-Path $work 'device-ca.crt'
    Save-Text $device $parts[0].Trim()
    Save-Text $ca $parts[1].Trim()
    $rootText = $answer.root -replace '-----[A-Z ]+-----', '' -replace '\s', ''
    $sha256 = [Security.Cryptography.SHA256]::Create()
    $print = -join ($sha256.ComputeHash([Convert]::FromBase64String($rootText)) | ForEach-Object { $_.ToString('x2') })
    if ($print -ne $rootPrint) { Stop-Here 'ルート証明書の指紋が違います。事務局に電話してください。' }
    & certutil.exe -user -addstore CA $ca | Out-Null
    if ($LASTEXITCODE -ne 0) { Stop-Here '認証局の証明書を入れられませんでした。' }
    & certreq.exe -accept -user -q $device | Out-Null
    if ($LASTEXITCODE -ne 0) { Stop-Here '証明書を入れられませんでした。' }

    $conf = Join-Path ([Environment]::GetFolderPath('MyDocuments')) ('sns-' + $slot + '.conf')
    $allowed = $answer.peer.allowed_ips -join ', '
    Save-Text $conf @"
[Interface]
Address = $($answer.interface.address)
MTU = $($answer.interface.mtu)
PrivateKey = $key

[Peer]
PublicKey = $($answer.peer.public_key)
PresharedKey = $($answer.peer.preshared_key)
Endpoint = $($answer.peer.endpoint)
AllowedIPs = $allowed
"@
    Write-Host '登録できました。10分以内に、次を行ってください。' -ForegroundColor Green
    Write-Host ('1. WireGuard の「ファイルからトンネルをインポート」で ' + $conf + ' を選びます。')
    Write-Host '2. 仮の接続を無効に、新しい接続を有効にします。'
    Write-Host ('3. ブラウザーで開き、証明書「' + $friendly + '」を選びます。使えたら、1のファイルを削除してください。')
}
finally {
    Remove-Item -LiteralPath $work -Recurse -Force -ErrorAction SilentlyContinue
    Remove-Variable -Name password, own, key, body, json -ErrorAction SilentlyContinue
}