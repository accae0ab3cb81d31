/* What Rust's standard library asks of bcryptprimitives.dll, which Wine 8 lacks: random bytes. Built
 * beside the programs by `build`; Windows has its own and takes that (a known DLL). */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
  return SystemFunction036(data, (ULONG)length);
}
