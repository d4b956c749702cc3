// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>Something that is freed once no reader can see it any more.</summary>
internal abstract class Reclaimable
{
    internal Reclaimable? NextReclaimable;

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
    private const int StripeInts = 16;
    private const int Epochs = 3;

    // Readers by epoch, even and odd, in a cache line (16 ints) per stripe, so that two processors do not share one.
    private readonly int[] _readers = new int[Stripes * StripeInts];

    // What was retired in this epoch, the one before it, and the one before that, which is freed as a whole: an open
    // reader makes the lists longer, not the work of those who retire.
    private readonly Reclaimable?[] _retired = new Reclaimable?[Epochs];
    private SpinGate _gate;
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
            int slot = (stripe * StripeInts) + (int)(epoch & 1);
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
        // Who comes in later than this fence cannot find it.
        Interlocked.MemoryBarrier();
        if (!HasReaders())
        {
            item.Reclaim();
            return;
        }

        _gate.Enter();
        ref Reclaimable? list = ref _retired[_epoch % Epochs];
        item.NextReclaimable = list;
        list = item;
        _pending++;
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

        _gate.Enter();

        // Two changes of epoch: after the first no new reader joins the old one, after the second all of it are gone.
        Reclaimable? older = Advance(), newer = Advance();
        _gate.Exit();
        Free(older);
        Free(newer);
    }

    // Begins another epoch if all readers of the last one have left; what was retired two epochs ago is free then.
    private Reclaimable? Advance()
    {
        if (ReadersOf(_epoch - 1) != 0)
        {
            return null;
        }

        Interlocked.Increment(ref _epoch);
        ref Reclaimable? list = ref _retired[(_epoch + 1) % Epochs];
        Reclaimable? free = list;
        list = null;
        return free;
    }

    private void Free(Reclaimable? free)
    {
        while (free is not null)
        {
            Reclaimable item = free;
            free = item.NextReclaimable;
            item.NextReclaimable = null;
            Interlocked.Decrement(ref _pending);
            item.Reclaim();
        }
    }

    private bool HasReaders()
    {
        int[] readers = _readers;
        int any = 0;
        for (int slot = 1; slot < readers.Length; slot += StripeInts)
        {
            any |= Volatile.Read(ref readers[slot - 1]) | Volatile.Read(ref readers[slot]);
        }

        return any != 0;
    }

    private int ReadersOf(long epoch)
    {
        int sum = 0;
        for (int slot = (int)(epoch & 1); slot < _readers.Length; slot += StripeInts)
        {
            sum += Volatile.Read(ref _readers[slot]);
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
