// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>Something that is freed once no reader can see it any more.</summary>
internal abstract class Reclaimable
{
    internal Reclaimable? NextReclaimable;
    internal long RetiredAt;

    /// <summary>Frees it. Must not block.</summary>
    internal abstract void Reclaim();
}

/// <summary>
/// Deferred freeing, after the kernel's sleepable read-copy-update: a reader marks its section, and what is retired is
/// freed when every section that was open at that time has been left. Nothing waits: who retires or leaves last
/// frees.
/// </summary>
internal sealed class GracePeriod
{
    private const int Stripes = 8;

    // One cache line (16 ints) per counter, so that readers on two processors do not share one.
    private readonly int[] _readers = new int[2 * Stripes * 16];
    private SpinGate _gate;
    private Reclaimable? _retired;
    private int _pending;
    private long _epoch;

    /// <summary>Objects that are retired and not freed yet.</summary>
    public int Pending => Volatile.Read(ref _pending);

    /// <summary>Opens a read section.</summary>
    public ReadSection Enter()
    {
        int stripe = Environment.CurrentManagedThreadId & (Stripes - 1);
        while (true)
        {
            long epoch = Volatile.Read(ref _epoch);
            int slot = ((int)(epoch & 1) * Stripes * 16) + (stripe * 16);
            Interlocked.Increment(ref _readers[slot]);
            if (Volatile.Read(ref _epoch) == epoch)
            {
                return new ReadSection(this, slot);
            }

            // The epoch moved on in between: this mark might not be waited for.
            Interlocked.Decrement(ref _readers[slot]);
        }
    }

    /// <summary>Frees an object after a grace period; it must be unreachable for new readers already.</summary>
    public void Retire(Reclaimable item)
    {
        Interlocked.Increment(ref _pending);
        _gate.Enter();
        item.RetiredAt = _epoch;
        item.NextReclaimable = _retired;
        _retired = item;
        _gate.Exit();
        Poll();
    }

    /// <summary>Frees what can be freed now.</summary>
    public void Poll()
    {
        if (Volatile.Read(ref _pending) == 0)
        {
            return;
        }

        Reclaimable? free = null;
        _gate.Enter();

        // Two changes of epoch: after the first no new reader joins the old one, after the second all of it are gone.
        for (int i = 0; i < 2 && ReadersOf(_epoch - 1) == 0; i++)
        {
            Interlocked.Increment(ref _epoch);
        }

        Reclaimable? keep = null;
        for (Reclaimable? item = _retired; item is not null;)
        {
            Reclaimable? next = item.NextReclaimable;
            if (item.RetiredAt + 2 <= _epoch)
            {
                item.NextReclaimable = free;
                free = item;
            }
            else
            {
                item.NextReclaimable = keep;
                keep = item;
            }

            item = next;
        }

        _retired = keep;
        _gate.Exit();

        while (free is not null)
        {
            Reclaimable item = free;
            free = item.NextReclaimable;
            item.NextReclaimable = null;
            Interlocked.Decrement(ref _pending);
            item.Reclaim();
        }
    }

    private int ReadersOf(long epoch)
    {
        int first = (int)(epoch & 1) * Stripes * 16;
        int sum = 0;
        for (int stripe = 0; stripe < Stripes; stripe++)
        {
            sum += Volatile.Read(ref _readers[first + (stripe * 16)]);
        }

        return sum;
    }

    private void Leave(int slot)
    {
        Interlocked.Decrement(ref _readers[slot]);
        if (Volatile.Read(ref _pending) != 0)
        {
            Poll();
        }
    }

    /// <summary>An open read section; dispose it once to leave.</summary>
    internal readonly struct ReadSection(GracePeriod owner, int slot)
    {
        public void Leave() => owner.Leave(slot);
    }
}
