// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace PasidFramework.Benchmarks.Measuring;

/// <summary>Clocks and CPUs of the calling thread, as Linux has them.</summary>
internal static unsafe partial class ThreadClock
{
    private const int Monotonic = 1;
    private const int ThreadCpuTime = 3;

    /// <summary>CPU time of the calling thread in nanoseconds: being descheduled does not count.</summary>
    public static long CpuTime => Read(ThreadCpuTime);

    /// <summary>Nanoseconds since an arbitrary moment.</summary>
    public static long WallTime => Read(Monotonic);

    /// <summary>Keeps the calling thread on one CPU; threads beyond the number of CPUs share them.</summary>
    public static void PinTo(int thread)
    {
        ulong mask = 1UL << (thread % Math.Min(64, Environment.ProcessorCount));
        _ = SetAffinity(0, sizeof(ulong), &mask);
    }

    private static long Read(int clock)
    {
        TimeSpec time;
        _ = GetTime(clock, &time);
        return (time.Seconds * 1_000_000_000L) + time.Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    [SuppressGCTransition]
    private static partial int GetTime(int clock, TimeSpec* time);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nint size, ulong* mask);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
