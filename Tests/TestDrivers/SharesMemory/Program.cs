// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace PasidFramework.TestDrivers;

/// <summary>
/// A process that starts another one in its own memory: clone with CLONE_VM and without CLONE_THREAD, which no shell
/// and no runtime does for longer than an exec takes. Prints the other one's process id and waits for the end of its
/// input.
/// </summary>
internal static unsafe partial class Program
{
    private const ulong CloneVm = 0x100;
    private const ulong ChildSignal = 17;
    private const int ReadWrite = 3;
    private const int ReadExecute = 5;
    private const int PrivateAnonymous = 0x22;
    private const int StackBytes = 65536;

    // The child must run no managed code: it would share the runtime's threads and locks with its parent. It pauses.
    private static ReadOnlySpan<byte> CloneAndPause =>
    [
        0xB8, 0x38, 0x00, 0x00, 0x00, // mov eax, 56 (clone; rdi: flags, rsi: stack)
        0x31, 0xD2,                   // xor edx, edx
        0x4D, 0x31, 0xD2,             // xor r10, r10
        0x4D, 0x31, 0xC0,             // xor r8, r8
        0x0F, 0x05,                   // syscall
        0x85, 0xC0,                   // test eax, eax
        0x74, 0x01,                   // jz +1
        0xC3,                         // ret
        0xB8, 0x22, 0x00, 0x00, 0x00, // mov eax, 34 (pause)
        0x0F, 0x05,                   // syscall
        0xEB, 0xF7,                   // jmp -9
    ];

    private static int Main()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            Console.Error.WriteLine("only x86-64 machine code is here");
            return 2;
        }

        byte* code = (byte*)Map(0, 4096, ReadWrite, PrivateAnonymous, -1, 0);
        byte* stack = (byte*)Map(0, StackBytes, ReadWrite, PrivateAnonymous, -1, 0);
        CloneAndPause.CopyTo(new Span<byte>(code, 4096));
        if (Protect((nint)code, 4096, ReadExecute) != 0)
        {
            Console.Error.WriteLine("memory cannot be made executable");
            return 3;
        }

        int child = ((delegate* unmanaged<ulong, byte*, int>)code)(CloneVm | ChildSignal, stack + StackBytes);
        Console.Out.WriteLine(child);
        Console.In.ReadToEnd();
        return 0;
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(nint address, nuint length, int protection);
}
