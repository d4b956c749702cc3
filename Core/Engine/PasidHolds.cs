// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// Page requests and exit handlers that are open, counted by PASID: while there is one, the PASID does not return to
/// its allocator. Nothing waits for that: who lets go last returns it.
/// </summary>
/// <remarks>
/// Counts are kept apart from who holds the PASID now. A page request that is about to find out that it came too late
/// counts for a moment as well; that only delays a return.
/// </remarks>
internal sealed class PasidHolds(uint last)
{
    private const int LeafBits = 10;

    // In a count: the PASID waits to be returned with the last hold.
    private const int Leaving = int.MinValue;

    private readonly int[]?[] _leaves = new int[]?[(last >> LeafBits) + 1];
    private readonly Dictionary<uint, IAddressSpace> _leaving = [];
    private SpinGate _gate;

    /// <summary>Takes a hold: a full fence.</summary>
    public void Take(Pasid pasid)
    {
        ref int[]? leaf = ref _leaves[pasid.Value >> LeafBits];
        int[]? counts = Volatile.Read(ref leaf);
        if (counts is null)
        {
            int[] made = new int[1 << LeafBits];
            counts = Interlocked.CompareExchange(ref leaf, made, null) ?? made;
        }

        Interlocked.Increment(ref counts[pasid.Value & ((1 << LeafBits) - 1)]);
    }

    /// <summary>Drops a hold.</summary>
    /// <param name="process">Whose PASID the caller has to return.</param>
    /// <returns>Whether it was the last one and the PASID was waiting for that.</returns>
    public bool Drop(Pasid pasid, out IAddressSpace? process)
    {
        ref int count = ref CountOf(pasid);
        process = null;
        return Interlocked.Decrement(ref count) == Leaving && TryClaim(ref count, pasid, out process);
    }

    /// <summary>
    /// A process lets go of a PASID. A full fence lies between the PASID's withdrawal and this call, so that a hold
    /// that is not seen here finds the PASID withdrawn.
    /// </summary>
    /// <returns>Whether the caller has to return it; if not, the drop of the last hold does.</returns>
    public bool Leave(Pasid pasid, IAddressSpace process)
    {
        int[]? counts = Volatile.Read(ref _leaves[pasid.Value >> LeafBits]);
        if (counts is null || Volatile.Read(ref counts[pasid.Value & ((1 << LeafBits) - 1)]) == 0)
        {
            return true;
        }

        _gate.Enter();
        _leaving[pasid.Value] = process;
        _gate.Exit();
        ref int count = ref CountOf(pasid);
        return Interlocked.Or(ref count, Leaving) == 0 && TryClaim(ref count, pasid, out _);
    }

    private ref int CountOf(Pasid pasid) =>
        ref _leaves[pasid.Value >> LeafBits]![pasid.Value & ((1 << LeafBits) - 1)];

    // Exactly one of those who see "no hold, and leaving" gets it.
    private bool TryClaim(ref int count, Pasid pasid, out IAddressSpace? process)
    {
        process = null;
        if (Interlocked.CompareExchange(ref count, 0, Leaving) != Leaving)
        {
            return false;
        }

        _gate.Enter();
        _leaving.Remove(pasid.Value, out process);
        _gate.Exit();
        return true;
    }
}
