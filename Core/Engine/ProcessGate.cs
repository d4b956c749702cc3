// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Engine;

/// <summary>
/// Serialises bind, unbind and exit of one process: one compare-and-swap to enter, one store to leave. A driver may
/// block under it (<see cref="IIommuUnit.AllocateProcess"/>), so who waits spins for a moment and then sleeps.
/// </summary>
/// <remarks>A mutable struct: keep it in a field that is not readonly. Not re-entrant; that is an exception.</remarks>
internal struct ProcessGate
{
    private const int SpinsBeforeSleep = 30;

    // The managed id of the thread inside, 0 for none.
    private int _owner;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Enter()
    {
        int me = Environment.CurrentManagedThreadId;
        if (Interlocked.CompareExchange(ref _owner, me, 0) != 0)
        {
            EnterContended(me);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Exit() => Volatile.Write(ref _owner, 0);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void EnterContended(int me)
    {
        if (Volatile.Read(ref _owner) == me)
        {
            throw new InvalidOperationException(
                "A driver or observer called back into the core for the process that it was being called for.");
        }

        var watch = new SpinWatch();
        SpinWait wait = default;
        do
        {
            if (!watch.TryPause())
            {
                wait.SpinOnce(SpinsBeforeSleep);
            }
        }
        while (Volatile.Read(ref _owner) != 0 || Interlocked.CompareExchange(ref _owner, me, 0) != 0);
    }
}
