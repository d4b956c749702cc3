// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// Exit handlers of devices that are running now, so that a device is not removed before its own have returned. They
/// may block and may remove devices themselves, also each other's.
/// </summary>
internal static class ExitHandlers
{
    private static readonly object s_gate = new();
    private static readonly List<Run> s_running = [];

    [ThreadStatic]
    private static Run? t_current;

    /// <summary>A handler of a device is about to be called; its binding is known to exist.</summary>
    public static Run Begin(DeviceRecord device)
    {
        var run = new Run(device, t_current, Environment.CurrentManagedThreadId);
        lock (s_gate)
        {
            s_running.Add(run);
        }

        return t_current = run;
    }

    public static void End(Run run)
    {
        t_current = run.Outer;
        lock (s_gate)
        {
            s_running.Remove(run);
            Monitor.PulseAll(s_gate);
        }
    }

    /// <summary>
    /// Waits until no handler of a device runs that no binding can add to any more: none but those on this thread, and
    /// but those that wait themselves for a handler on this thread to return.
    /// </summary>
    public static void WaitFor(DeviceRecord device)
    {
        lock (s_gate)
        {
            SetWaiting(device);
            while (s_running.Exists(r => ReferenceEquals(r.Device, device) && !WaitsForThisThread(r, [])))
            {
                Monitor.Wait(s_gate);
            }

            SetWaiting(null);
        }
    }

    private static void SetWaiting(DeviceRecord? device)
    {
        for (Run? run = t_current; run is not null; run = run.Outer)
        {
            run.WaitsFor = device;
        }

        // Another thread's wait may have become a circle.
        Monitor.PulseAll(s_gate);
    }

    private static bool WaitsForThisThread(Run run, HashSet<Run> seen) =>
        run.Thread == Environment.CurrentManagedThreadId
            || (run.WaitsFor is { } next && seen.Add(run)
                && s_running.Exists(r => ReferenceEquals(r.Device, next) && WaitsForThisThread(r, seen)));

    internal sealed class Run(DeviceRecord device, Run? outer, int thread)
    {
        public DeviceRecord Device { get; } = device;
        public Run? Outer { get; } = outer;
        public int Thread { get; } = thread;

        /// <summary>The device for whose handlers the thread of this one waits; guarded by the gate.</summary>
        public DeviceRecord? WaitsFor { get; set; }
    }
}
