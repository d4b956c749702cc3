// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Allocation;

/// <summary>
/// What the built-in policies share: a free map under a spin gate. A policy only says which free PASID comes next.
/// </summary>
/// <remarks>
/// An allocation or a free is one short section that touches at most a handful of words, so a gate costs less than
/// anything cleverer as long as it must be exact. Memory: about 2.03 bits per PASID of the range, taken at
/// construction. Closed to other assemblies; a third party implements <see cref="IPasidAllocator"/>.
/// </remarks>
public abstract class BitmapPasidAllocator : IPasidAllocator, ISelfChecking
{
    private readonly uint _first;
    private readonly uint _last;
    private PasidBitmap _bitmap;
    private SpinGate _gate;

    private protected BitmapPasidAllocator(string name, PasidRange range)
    {
        Name = name;
        Range = range;
        _first = range.First;
        _last = range.Last;
        _bitmap = new PasidBitmap(range);
    }

    public string Name { get; }
    public PasidRange Range { get; }
    public int LiveCount => _bitmap.LiveCount;

    public PasidAllocation Allocate(in PasidRequest request)
    {
        uint first = Math.Max(request.Range.First, _first);
        uint last = Math.Min(request.Range.Last, _last);

        // Also true where the request itself is empty: first only grows and last only shrinks.
        if (first > last)
        {
            return PasidAllocation.None(PasidAllocationStatus.InvalidRange);
        }

        // No try/finally: nothing between the gate's ends can throw, all PASIDs lie within the map.
        _gate.Enter();
        uint pasid = Pick(ref _bitmap, first, last);
        if (pasid != PasidBitmap.None)
        {
            _bitmap.Take(pasid);
        }

        _gate.Exit();
        return pasid != PasidBitmap.None
            ? PasidAllocation.Of(pasid)
            : PasidAllocation.None(PasidAllocationStatus.NoSpace);
    }

    public PasidFreeStatus Free(Pasid pasid)
    {
        if (!IsInRange(pasid))
        {
            return PasidFreeStatus.NotAllocated;
        }

        _gate.Enter();
        bool released = _bitmap.TryRelease(pasid.Value);
        _gate.Exit();
        return released ? PasidFreeStatus.Freed : PasidFreeStatus.NotAllocated;
    }

    /// <remarks>True for a PASID outside of <see cref="Range"/>: it is never allocated anyway.</remarks>
    public bool TryReserve(Pasid pasid)
    {
        if (!IsInRange(pasid))
        {
            return true;
        }

        _gate.Enter();
        bool reserved = _bitmap.TryReserve(pasid.Value);
        _gate.Exit();
        return reserved;
    }

    public bool IsLive(Pasid pasid)
    {
        if (!IsInRange(pasid))
        {
            return false;
        }

        _gate.Enter();
        bool live = _bitmap.IsLive(pasid.Value);
        _gate.Exit();
        return live;
    }

    void ISelfChecking.AssertInvariants()
    {
        _gate.Enter();
        try
        {
            _bitmap.AssertInvariants();
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>
    /// The PASID to allocate next, and the policy's own state moved on; <see cref="PasidBitmap.None"/>, and no
    /// change, where none of [first, last] is free (A5). Called under the gate; the range is not empty and lies in
    /// the map.
    /// </summary>
    private protected abstract uint Pick(ref PasidBitmap free, uint first, uint last);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsInRange(Pasid pasid) => pasid.Value >= _first && pasid.Value <= _last;
}
