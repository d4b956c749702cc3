// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Diagnostics;

namespace PasidFramework.Qemu.Machine;

/// <summary>
/// Starts processes on a thread that never ends. The signal that QEMU gets when its parent dies (prctl(2),
/// PR_SET_PDEATHSIG) comes when the <b>thread</b> that started it ends: a pool's thread would take QEMU along.
/// </summary>
internal static class QemuStarter
{
    private static readonly BlockingCollection<(ProcessStartInfo Info, TaskCompletionSource<Process?> Started)> s_work =
        [];

    static QemuStarter() => new Thread(Run) { IsBackground = true, Name = "QEMU starter" }.Start();

    /// <returns>The process; null where none was started.</returns>
    /// <exception cref="System.ComponentModel.Win32Exception">It cannot be started.</exception>
    public static Process? Start(ProcessStartInfo info)
    {
        var started = new TaskCompletionSource<Process?>(TaskCreationOptions.RunContinuationsAsynchronously);
        s_work.Add((info, started));
        return started.Task.GetAwaiter().GetResult();
    }

    private static void Run()
    {
        foreach ((ProcessStartInfo info, TaskCompletionSource<Process?> started) in s_work.GetConsumingEnumerable())
        {
            try
            {
                started.SetResult(Process.Start(info));
            }
#pragma warning disable CA1031 // It is thrown again where the process was asked for.
            catch (Exception e)
#pragma warning restore CA1031
            {
                started.SetException(e);
            }
        }
    }
}
