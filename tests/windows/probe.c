/* What the tests run on Windows, where on Linux they have a shell and secret-tool:
 *
 *   probe print NAME...      the values of environment variables, in one line
 *   probe cat NAME           the content of the file that a variable names, and a newline
 *   probe watch NAME         its process id; then that content whenever it has changed, `gone` without a file
 *   probe with NAME=VALUE PROGRAM ARGUMENT...
 *   probe exit STATUS
 *   probe credentials        what Credential Manager holds of hfd, whole where hfd had to cut it
 *   probe clients COUNT PIPE so many connections at once, each of which asks for the list once all are there
 *   probe relay PIPE         standard input into the pipe, and what comes out of it
 *   probe security FILE PART...   who may open the file or pipe, as a security descriptor, which must have these parts
 *   probe integrity          the integrity level of this process: 4096 low, 8192 medium, 12288 high
 *   probe low PROGRAM ARGUMENT...   runs the program with low integrity, and ends with its status
 */
#include <aclapi.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <sddl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <wincred.h>

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

/* The file's content; its length, or -1 where there is none. */
static int content(const char *name, char *into, int room)
{
    FILE *file = fopen(variable(name), "rb");
    if (!file) return -1;
    int length = fread(into, 1, room, file);
    fclose(file);
    return length;
}

static void watch(const char *name)
{
    static char now[65536], last[65536];
    int last_length = -2;
    printf("%lu\n", GetCurrentProcessId());
    fflush(stdout);
    for (;;) {
        int length = content(name, now, sizeof now);
        /* An empty file is one that is being written. */
        if (length != 0 && (length != last_length || (length > 0 && memcmp(now, last, length)))) {
            if (length < 0) printf("gone\n");
            else printf("%.*s\n", length, now);
            fflush(stdout);
            last_length = length;
            if (length > 0) memcpy(last, now, length);
        }
        Sleep(10);
    }
}

static int by_name(const void *one, const void *other)
{
    return wcscmp((*(CREDENTIALW *const *)one)->TargetName, (*(CREDENTIALW *const *)other)->TargetName);
}

static int credentials(void)
{
    CREDENTIALW **all;
    DWORD count;
    if (!CredEnumerateW(L"hfd:*", 0, &count, &all)) return GetLastError() == ERROR_NOT_FOUND ? 0 : 1;
    /* The parts of a value that was cut follow each other then. */
    qsort(all, count, sizeof *all, by_name);
    for (DWORD number = 0; number < count; number++) {
        const CREDENTIALW *item = all[number];
        const wchar_t *part = wcschr(item->TargetName, '#');
        if (!part) printf("\n%ls\nsecret = ", item->TargetName);
        if (item->CredentialBlobSize && !item->CredentialBlob[0]) continue; /* says which parts there are */
        fwrite(item->CredentialBlob, 1, item->CredentialBlobSize, stdout);
    }
    CredFree(all);
    return 0;
}

static DWORD WINAPI copy_in(void *pipe)
{
    char bytes[65536];
    int length;
    while ((length = _read(0, bytes, sizeof bytes)) > 0) {
        OVERLAPPED over = {0};
        DWORD written;
        over.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
        for (int at = 0; at < length; at += written)
            if ((!WriteFile(pipe, bytes + at, length - at, NULL, &over) && GetLastError() != ERROR_IO_PENDING)
                || !GetOverlappedResult(pipe, &over, &written, TRUE)) return 1;
        CloseHandle(over.hEvent);
    }
    /* A pipe has no half that can be closed: the whole goes. */
    ExitProcess(0);
}

static int relay(const char *name)
{
    char bytes[65536];
    HANDLE pipe;
    while ((pipe = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL))
           == INVALID_HANDLE_VALUE) {
        if (GetLastError() != ERROR_PIPE_BUSY) return 1;
        WaitNamedPipeA(name, 1000);
    }
    CreateThread(NULL, 0, copy_in, pipe, 0, NULL);
    for (;;) {
        OVERLAPPED over = {0};
        DWORD length;
        over.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
        if ((!ReadFile(pipe, bytes, sizeof bytes, NULL, &over) && GetLastError() != ERROR_IO_PENDING)
            || !GetOverlappedResult(pipe, &over, &length, TRUE) || !length) return 0;
        CloseHandle(over.hEvent);
        if (_write(1, bytes, length) < 0) return 1;
    }
}

/* A line from a pipe, or 0. */
static int line(HANDLE pipe, char *into, int room)
{
    DWORD length;
    int have = 0;
    while (have < room - 1 && ReadFile(pipe, into + have, room - 1 - have, &length, NULL) && length) {
        have += length;
        into[have] = 0;
        if (strchr(into, '\n')) return 1;
    }
    return 0;
}

static const char *pipe_name;
static LONG connected, wanted, answered;

static DWORD WINAPI client(void *unused)
{
    static const char list[] = "{\"kind\":\"list\"}\n";
    char bytes[4096];
    DWORD written;
    HANDLE pipe;
    (void)unused;
    while ((pipe = CreateFileA(pipe_name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL))
           == INVALID_HANDLE_VALUE) {
        if (GetLastError() != ERROR_PIPE_BUSY) return 1;
        WaitNamedPipeA(pipe_name, 1000);
    }
    if (!line(pipe, bytes, sizeof bytes)) return 1;
    InterlockedIncrement(&connected);
    while (connected < wanted) Sleep(1);
    if (WriteFile(pipe, list, strlen(list), &written, NULL) && line(pipe, bytes, sizeof bytes)
        && strstr(bytes, "{\"ok\":")) InterlockedIncrement(&answered);
    CloseHandle(pipe);
    return 0;
}

static int clients(int count, const char *name)
{
    HANDLE *threads = calloc(count, sizeof *threads);
    pipe_name = name;
    wanted = count;
    for (int number = 0; number < count; number++) threads[number] = CreateThread(NULL, 0, client, NULL, 0, NULL);
    for (int number = 0; number < count; number++) WaitForSingleObject(threads[number], 30000);
    printf("%ld answered\n", answered);
    return answered == count ? 0 : 1;
}

static int security(const char *name, int count, char **parts)
{
    int missing = 0;
    const SECURITY_INFORMATION what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION
        | LABEL_SECURITY_INFORMATION;
    PSECURITY_DESCRIPTOR descriptor;
    char *text;
    /* The daemon has its files open. */
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    HANDLE file = CreateFileA(name, READ_CONTROL, share, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE
        || GetSecurityInfo(file, SE_KERNEL_OBJECT, what, NULL, NULL, NULL, NULL, &descriptor)
        || !ConvertSecurityDescriptorToStringSecurityDescriptorA(descriptor, SDDL_REVISION_1, what, &text, NULL)) {
        fprintf(stderr, "probe: error %lu\n", GetLastError());
        return 1;
    }
    printf("%s\n", text);
    for (int part = 0; part < count; part++) {
        if (strstr(text, parts[part])) continue;
        printf("FAILED: %s is not there\n", parts[part]);
        missing = 1;
    }
    return missing;
}

static int integrity(void)
{
    char room[256];
    DWORD length;
    HANDLE token;
    TOKEN_MANDATORY_LABEL *label = (void *)room;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)
        || !GetTokenInformation(token, TokenIntegrityLevel, room, sizeof room, &length)) return 1;
    printf("%lu\n", *GetSidSubAuthority(label->Label.Sid, 0));
    return 0;
}

static int low(int count, char **words)
{
    char line[32768] = "";
    HANDLE own, token;
    DWORD status = 1;
    TOKEN_MANDATORY_LABEL label = {{NULL, SE_GROUP_INTEGRITY}};
    STARTUPINFOA start = {0};
    PROCESS_INFORMATION made;
    start.cb = sizeof start;
    for (int word = 0; word < count; word++) {
        strcat(line, word ? " \"" : "\"");
        strcat(strcat(line, words[word]), "\"");
    }
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_DUPLICATE | TOKEN_QUERY, &own)
        || !DuplicateTokenEx(own, MAXIMUM_ALLOWED, NULL, SecurityImpersonation, TokenPrimary, &token)
        || !ConvertStringSidToSidA("S-1-16-4096", &label.Label.Sid)
        || !SetTokenInformation(token, TokenIntegrityLevel, &label, sizeof label)
        || !CreateProcessAsUserA(token, words[0], line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &made)) {
        fprintf(stderr, "probe: error %lu\n", GetLastError());
        return 1;
    }
    WaitForSingleObject(made.hProcess, INFINITE);
    GetExitCodeProcess(made.hProcess, &status);
    return status;
}

int main(int count, char **words)
{
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    const char *verb = count > 1 ? words[1] : "", *what = count > 2 ? words[2] : "";
    if (!strcmp(verb, "print")) {
        for (int word = 2; word < count; word++) printf("%s%s", word > 2 ? " " : "", variable(words[word]));
        printf("\n");
        return 0;
    }
    if (!strcmp(verb, "cat")) {
        static char bytes[65536];
        int length = content(what, bytes, sizeof bytes);
        if (length < 0) return 1;
        printf("%.*s\n", length, bytes);
        return 0;
    }
    if (!strcmp(verb, "watch")) watch(what);
    if (!strcmp(verb, "with") && count > 3) {
        _putenv(what);
        return _spawnv(_P_WAIT, words[3], (const char *const *)words + 3);
    }
    if (!strcmp(verb, "exit")) return atoi(what);
    if (!strcmp(verb, "credentials")) return credentials();
    if (!strcmp(verb, "clients") && count > 3) return clients(atoi(what), words[3]);
    if (!strcmp(verb, "security") && count > 2) return security(what, count - 3, words + 3);
    if (!strcmp(verb, "integrity")) return integrity();
    if (!strcmp(verb, "low") && count > 2) return low(count - 2, words + 2);
    if (!strcmp(verb, "relay")) return relay(what);
    fprintf(stderr, "probe: no %s\n", verb);
    return 2;
}
