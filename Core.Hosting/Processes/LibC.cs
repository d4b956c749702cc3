// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace PasidFramework.Hosting.Processes;

/// <summary>The system calls that the process source needs. Names and numbers are those of the kernel's
/// headers.</summary>
internal static unsafe partial class LibC
{
    public const int EPERM = 1;
    public const int ENOENT = 2;
    public const int ESRCH = 3;
    public const int EINTR = 4;
    public const int ENOMEM = 12;
    public const int EACCES = 13;
    public const int EINVAL = 22;
    public const int ENFILE = 23;
    public const int EMFILE = 24;
    public const int ENOSYS = 38;

    /// <summary>KCMP_VM of linux/kcmp.h: do two processes share their memory?</summary>
    public const int KcmpVm = 1;

    /// <summary>The same number on every architecture (linux 5.3).</summary>
    private const int PidfdOpenNumber = 434;

    private const int EpollCloseOnExec = 0x80000;
    private const int EventfdCloseOnExecNonBlocking = 0x80000 | 0x800;
    private const int EpollAdd = 1;
    private const int EpollDelete = 2;
    private const uint EpollIn = 1;
    private const short PollIn = 1;

    // struct epoll_event is packed on x86-64 alone.
    private static readonly bool s_packed = RuntimeInformation.ProcessArchitecture == Architecture.X64;
    private static readonly int s_eventBytes = s_packed ? 12 : 16;
    private static readonly int s_dataOffset = s_packed ? 4 : 8;

    /// <summary>kcmp's number by architecture; 0 where it is not known here.</summary>
    private static readonly int s_kcmpNumber = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 312,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => 272,
        _ => 0,
    };

    /// <returns>The descriptor, or null and the error number.</returns>
    public static SafeFileHandle? PidfdOpen(int pid, out int errno) =>
        Handle((int)Syscall(PidfdOpenNumber, pid, 0, 0, 0, 0), out errno);

    /// <returns>0 if they share it, a positive number if not, a negative error number.</returns>
    public static int KcmpMemory(int first, int second)
    {
        if (s_kcmpNumber == 0)
        {
            return -ENOSYS;
        }

        int order = (int)Syscall(s_kcmpNumber, first, second, KcmpVm, 0, 0);
        return order < 0 ? -Marshal.GetLastPInvokeError() : order;
    }

    public static SafeFileHandle? EventfdCreate(out int errno) =>
        Handle(Eventfd(0, EventfdCloseOnExecNonBlocking), out errno);

    /// <summary>Makes an event descriptor readable.</summary>
    public static void EventfdSignal(SafeFileHandle eventfd)
    {
        ulong one = 1;
        _ = Write(eventfd, &one, sizeof(ulong));
    }

    /// <summary>Makes an event descriptor unreadable again.</summary>
    public static void EventfdClear(SafeFileHandle eventfd)
    {
        ulong count;
        _ = Read(eventfd, &count, sizeof(ulong));
    }

    /// <summary>Whether a descriptor is readable now: for a pidfd, whether its process has ended.</summary>
    public static bool IsReadable(SafeFileHandle file)
    {
        bool taken = false;
        try
        {
            file.DangerousAddRef(ref taken);
            PollDescriptor descriptor = new() { File = (int)file.DangerousGetHandle(), Wanted = PollIn };
            int ready;
            do
            {
                ready = Poll(&descriptor, 1, 0);
            }
            while (ready < 0 && Marshal.GetLastPInvokeError() == EINTR);
            return ready > 0;
        }
        finally
        {
            if (taken)
            {
                file.DangerousRelease();
            }
        }
    }

    public static SafeFileHandle? EpollCreate(out int errno) => Handle(EpollCreate1(EpollCloseOnExec), out errno);

    /// <returns>0 or the error number.</returns>
    public static int EpollWatch(SafeFileHandle epoll, SafeFileHandle file, ulong token)
    {
        Span<byte> record = stackalloc byte[16];
        record.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(record, EpollIn);
        BinaryPrimitives.WriteUInt64LittleEndian(record[s_dataOffset..], token);
        fixed (byte* at = record)
        {
            return EpollControl(epoll, EpollAdd, file, at) == 0 ? 0 : Marshal.GetLastPInvokeError();
        }
    }

    public static void EpollForget(SafeFileHandle epoll, SafeFileHandle file)
    {
        // Kernels before 2.6.9 read the record here as well.
        ulong unused = 0;
        _ = EpollControl(epoll, EpollDelete, file, (byte*)&unused);
    }

    /// <summary>Waits until watched descriptors are readable.</summary>
    /// <param name="tokens">Filled with the tokens of those that are.</param>
    /// <returns>How many there are.</returns>
    public static int EpollWait(SafeFileHandle epoll, Span<ulong> tokens)
    {
        Span<byte> records = stackalloc byte[tokens.Length * s_eventBytes];
        fixed (byte* at = records)
        {
            int ready;
            do
            {
                ready = EpollWaitNative(epoll, at, tokens.Length, -1);
            }
            while (ready < 0 && Marshal.GetLastPInvokeError() == EINTR);
            for (int index = 0; index < ready; index++)
            {
                tokens[index] = BinaryPrimitives.ReadUInt64LittleEndian(
                    records.Slice((index * s_eventBytes) + s_dataOffset, sizeof(ulong)));
            }

            return Math.Max(ready, 0);
        }
    }

    private static SafeFileHandle? Handle(int file, out int errno)
    {
        errno = file < 0 ? Marshal.GetLastPInvokeError() : 0;
        return file < 0 ? null : new SafeFileHandle(file, ownsHandle: true);
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Syscall(nint number, nint first, nint second, nint third, nint fourth, nint fifth);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int Eventfd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeFileHandle file, void* buffer, nint bytes);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle file, void* buffer, nint bytes);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreate1(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int EpollControl(SafeFileHandle epoll, int operation, SafeFileHandle file, byte* record);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int EpollWaitNative(SafeFileHandle epoll, byte* records, int most, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public int File;
        public short Wanted;
        public short Ready;
    }
}
