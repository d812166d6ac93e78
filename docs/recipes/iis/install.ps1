# On the web server: replaces the site by one version. Called over ssh while the server gets no traffic.
param(
    [Parameter(Mandatory)] [ValidatePattern('^[A-Za-z0-9._-]+$')] [string] $Version,
    [string] $Site = 'shop',
    [string] $Root = 'C:\inetpub\shop',
    [string] $Packages = '\\files\builds'
)
$ErrorActionPreference = 'Stop'
Import-Module WebAdministration

$package = Join-Path $Packages "shop-$Version.zip"
if (-not (Test-Path $package)) { throw "there is no $package" }

# 1. Take the monitor file away: other programs that check it see that the site goes down.
$on = Join-Path $Root 'monitor.html'
$off = Join-Path $Root 'monitor.off'
if (Test-Path $on) { Move-Item $on $off -Force }

# 2. Stop the site and its pool, which has the files open.
$pool = (Get-Item "IIS:\Sites\$Site").applicationPool
if ((Get-WebsiteState $Site).Value -ne 'Stopped') { Stop-Website $Site }
if ((Get-WebAppPoolState $pool).Value -ne 'Stopped') { Stop-WebAppPool $pool }
while ((Get-WebAppPoolState $pool).Value -ne 'Stopped') { Start-Sleep -Milliseconds 200 }

# 3. Replace the old files by those of the package.
Get-ChildItem $Root -Exclude 'monitor.off' | Remove-Item -Recurse -Force
Expand-Archive $package $Root -Force

# 4. Start the site, and let it answer once before it gets traffic.
Start-WebAppPool $pool
Start-Website $Site
Invoke-WebRequest 'http://localhost/' -UseBasicParsing -TimeoutSec 120 | Out-Null

# 5. Put the monitor file back.
if (Test-Path $off) { Move-Item $off $on -Force }
Write-Output "$Site is at $Version"
