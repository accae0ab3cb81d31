@echo off
rem Shows on Windows what Wine cannot: who may open the pipe and hfd's files, what a program of low integrity gets, and what an
rem autostart leaves. Run it in a directory that has hfd.exe, hfdd.exe and probe.exe (tests/windows/session makes
rem one), once in an ordinary console and once in one "as administrator", while hfd has a token. It ends with
rem status 0 where nothing failed.
setlocal
cd /d "%~dp0"
set failed=0
set pipe=

echo == This console: integrity 8192 is an ordinary one, 12288 an administrator's
probe integrity

echo == The daemon that answers; in both consoles, and in a second session of yours, it is the same
hfd service start
if errorlevel 1 set failed=1
for /f "tokens=1,2" %%a in ('hfd status') do if "%%a"=="socket" set pipe=%%b

echo == Who may open its pipe: you and the system, nobody by way of the network, medium integrity
probe security %pipe% ";;;NU)" ";;;SY)" "(ML;;NW;;;ME)"
if errorlevel 1 set failed=1

echo == A program of low integrity gets no token: an error has to follow
probe low hfd.exe token > nul
if not errorlevel 1 echo FAILED: it got one
if not errorlevel 1 set failed=1

echo == Who may read what hfd keeps: you, the system and administrators; nothing is inherited, (I) would say so
icacls "%LOCALAPPDATA%\hfd" /T
icacls "%LOCALAPPDATA%\hfd" /T | findstr /c:"(I)" > nul
if not errorlevel 1 echo FAILED: something is inherited
if not errorlevel 1 set failed=1
probe security "%LOCALAPPDATA%\hfd\journal" "D:P" ";;;SY)" ";;;BA)"
if errorlevel 1 set failed=1

echo == What Credential Manager holds of hfd
cmdkey /list:hfd:*

echo == An autostart for you alone, which goes again; one that is there already stays
reg query HKCU\Software\Microsoft\Windows\CurrentVersion\Run /v hfd
if not errorlevel 1 goto end
hfd service install
if errorlevel 1 set failed=1
reg query HKCU\Software\Microsoft\Windows\CurrentVersion\Run /v hfd
if errorlevel 1 set failed=1
hfd service uninstall
if errorlevel 1 set failed=1

:end
if %failed%==0 echo == Nothing failed
if not %failed%==0 echo == Something failed
exit /b %failed%
