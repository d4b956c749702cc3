using System.Numerics;
using PasidFramework.Allocation;
using PasidFramework.Identifiers;

namespace PasidFramework.Drivers.Reference.Unit;

/// <summary>
/// The simplest correct allocator: one bit for each number, the lowest free one first. The unit takes its ASIDs from
/// one too. Safe for concurrent use; the memory is taken at construction.
/// </summary>
/// <param name="range">The numbers.</param>
internal sealed class LowestFirstAllocator(PasidRange range) : IPasidAllocator
{
    // Indexed by number, so that a word needs no offset.
    private readonly ulong[] _live = new ulong[(range.Last >> 6) + 1];
    private readonly ulong[] _reserved = new ulong[(range.Last >> 6) + 1];
    private SpinGate _gate;
    private int _liveCount;

    /// <inheritdoc/>
    public string Name => "reference-lowest";

    /// <inheritdoc/>
    public PasidRange Range => range;

    /// <inheritdoc/>
    public int LiveCount => Volatile.Read(ref _liveCount);

    /// <inheritdoc/>
    public PasidAllocation Allocate(in PasidRequest request)
    {
        PasidRange wanted = range.Intersect(request.Range);
        if (wanted.IsEmpty)
        {
            return PasidAllocation.None(PasidAllocationStatus.InvalidRange);
        }

        // Nothing between the gate's ends can throw: all numbers lie within the arrays.
        _gate.Enter();
        PasidAllocation taken = TakeLowest(wanted.First, wanted.Last);
        _gate.Exit();
        return taken;
    }

    /// <inheritdoc/>
    public PasidFreeStatus Free(Pasid pasid)
    {
        if (!range.Contains(pasid.Value))
        {
            return PasidFreeStatus.NotAllocated;
        }

        _gate.Enter();
        bool wasLive = Has(_live, pasid);
        if (wasLive)
        {
            _live[pasid.Value >> 6] &= ~Bit(pasid);
            _liveCount--;
        }

        _gate.Exit();
        return wasLive ? PasidFreeStatus.Freed : PasidFreeStatus.NotAllocated;
    }

    /// <inheritdoc/>
    /// <remarks>True for a number outside of <see cref="Range"/>: it is never handed out anyway.</remarks>
    public bool TryReserve(Pasid pasid)
    {
        if (!range.Contains(pasid.Value))
        {
            return true;
        }

        _gate.Enter();
        bool isFree = !Has(_live, pasid);
        if (isFree)
        {
            _reserved[pasid.Value >> 6] |= Bit(pasid);
        }

        _gate.Exit();
        return isFree;
    }

    /// <inheritdoc/>
    public bool IsLive(Pasid pasid)
    {
        if (!range.Contains(pasid.Value))
        {
            return false;
        }

        _gate.Enter();
        bool isLive = Has(_live, pasid);
        _gate.Exit();
        return isLive;
    }

    private static ulong Bit(Pasid pasid) => 1UL << (int)(pasid.Value & 63);

    private static bool Has(ulong[] bits, Pasid pasid) => (bits[pasid.Value >> 6] & Bit(pasid)) != 0;

    private PasidAllocation TakeLowest(uint first, uint last)
    {
        for (uint word = first >> 6; word <= last >> 6; word++)
        {
            ulong free = ~(_live[word] | _reserved[word]);
            if (word == first >> 6)
            {
                free &= ulong.MaxValue << (int)(first & 63);
            }

            uint lowest = (word << 6) | (uint)BitOperations.TrailingZeroCount(free);
            if (free != 0 && lowest <= last)
            {
                _live[word] |= free & (0 - free);
                _liveCount++;
                return PasidAllocation.Of(lowest);
            }
        }

        return PasidAllocation.None(PasidAllocationStatus.NoSpace);
    }
}
