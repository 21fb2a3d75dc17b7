# Installs the agent of Compagnon on this machine, from its own server. In a PowerShell that was opened as administrator:
#
#     & ([scriptblock]::Create((Invoke-RestMethod 'SERVER/agent/install.ps1'))) CODE
#
# "compagnon-agent uninstall" takes everything away again.
param([Parameter(Mandatory = $true, ValueFromRemainingArguments = $true)][string[]]$Code)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$server = @SERVER@
$sha256 = '@SHA256@'
$target = Join-Path $env:ProgramFiles 'compagnon-agent'

function Invoke-Checked([string]$Program, [string[]]$Arguments, [string]$Fault) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "compagnon-agent: $Fault" }
}

function Find-Python {
    foreach ($name in @('py', 'python3', 'python')) {
        if (-not (Get-Command $name -ErrorAction SilentlyContinue)) { continue }
        & $name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>$null
        if ($LASTEXITCODE -eq 0) { return $name }
    }
    throw 'compagnon-agent: Python 3.11 or newer is needed (winget install Python.Python.3.12, for all users).'
}

function Install-Files([string]$Python) {
    New-Item -ItemType Directory -Force (Join-Path $target 'slots\a') | Out-Null
    Invoke-Checked $Python @('-m', 'venv', (Join-Path $target 'venv')) 'the environment could not be made.'
    $inside = Join-Path $target 'venv\Scripts\python.exe'
    $pip = @('-I', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--only-binary', ':all:')
    $packages = @('--find-links', "$server/agent/packages/", 'cryptography', 'psutil', 'websockets')
    & $inside @pip '--no-index' @packages
    if ($LASTEXITCODE -ne 0) { Invoke-Checked $inside ($pip + $packages) 'the packages could not be installed.' }
    # To look at a screen; where they are not to be had, the agent does without.
    & $inside @pip '--no-index' '--find-links' "$server/agent/packages/" 'mss' 'pillow' 2>$null | Out-Null

    $wheel = Join-Path $target 'agent.zip'
    Invoke-WebRequest -UseBasicParsing "$server/agent/agent.whl" -OutFile $wheel
    if ((Get-FileHash -Algorithm SHA256 $wheel).Hash.ToLowerInvariant() -ne $sha256) {
        throw 'compagnon-agent: the agent is not the file that this script names.'
    }
    Expand-Archive -Force $wheel (Join-Path $target 'slots\a')
    Remove-Item $wheel
    Copy-Item (Join-Path $target 'slots\a\compagnon_agent\launcher.py') (Join-Path $target 'launcher.py')
    $command = "@`"%~dp0venv\Scripts\python.exe`" -I `"%~dp0launcher.py`" %*"
    Set-Content -Encoding ascii (Join-Path $target 'compagnon-agent.cmd') $command
}

$python = Find-Python
if (-not (Test-Path (Join-Path $target 'launcher.py'))) {
    try { Install-Files $python } catch { Remove-Item -Recurse -Force -ErrorAction SilentlyContinue $target; throw }
}
$agent = Join-Path $target 'compagnon-agent.cmd'
Invoke-Checked $agent (@('enroll', $server) + $Code) 'the machine could not be enrolled.'
Invoke-Checked $agent @('install-service') 'the service could not be installed.'
