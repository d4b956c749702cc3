// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Allocation;

/// <summary>
/// What the gated built-in policies share: a free map under a spin gate. A policy only says which free PASID comes
/// next.
/// </summary>
/// <remarks>
/// An allocation or a free is one short section that touches at most a handful of words, so a gate costs less than
/// anything cleverer as long as the order must be that of all threads. Memory: about 2.03 bits per PASID of the range,
/// taken at construction. Closed to other assemblies; a third party implements <see cref="IPasidAllocator"/>.
/// </remarks>
public abstract class BitmapPasidAllocator : IPasidAllocator, IUngatedAllocator, ISelfChecking
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

    public abstract PasidAllocation Allocate(in PasidRequest request);

    public PasidFreeStatus Free(Pasid pasid)
    {
        uint index = pasid.Value - _first;
        if (index >= (uint)_bitmap.Count)
        {
            return PasidFreeStatus.NotAllocated;
        }

        _gate.Enter();
        bool released = _bitmap.TryReleaseIndex(index);
        _gate.Exit();
        return released ? PasidFreeStatus.Freed : PasidFreeStatus.NotAllocated;
    }

    /// <remarks>True for a PASID outside of <see cref="Range"/>: it is never allocated anyway.</remarks>
    public bool TryReserve(Pasid pasid)
    {
        _gate.Enter();
        bool reserved = TryReserveUngated(pasid);
        _gate.Exit();
        return reserved;
    }

    public bool IsLive(Pasid pasid)
    {
        _gate.Enter();
        bool live = IsLiveUngated(pasid);
        _gate.Exit();
        return live;
    }

    PasidAllocation IUngatedAllocator.Allocate(in PasidRequest request) => AllocateUngated(in request);

    PasidFreeStatus IUngatedAllocator.Free(Pasid pasid)
    {
        uint index = pasid.Value - _first;
        return index < (uint)_bitmap.Count && _bitmap.TryReleaseIndex(index)
            ? PasidFreeStatus.Freed
            : PasidFreeStatus.NotAllocated;
    }

    bool IUngatedAllocator.TryReserve(Pasid pasid) => TryReserveUngated(pasid);
    bool IUngatedAllocator.IsLive(Pasid pasid) => IsLiveUngated(pasid);

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

    /// <summary><see cref="Allocate(in PasidRequest)"/> without the gate.</summary>
    private protected abstract PasidAllocation AllocateUngated(in PasidRequest request);

    // No try/finally: nothing between the gate's ends can throw, all PASIDs lie within the map.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected PasidAllocation Allocate<TPolicy>(ref TPolicy policy, in PasidRequest request)
        where TPolicy : struct, IPickPolicy
    {
        if (request.Range.First > _first || request.Range.Last < _last)
        {
            return AllocateWithin(ref policy, in request);
        }

        _gate.Enter();
        uint pasid = policy.TakeAny(ref _bitmap);
        _gate.Exit();
        return pasid != PasidBitmap.None ? PasidAllocation.Of(pasid) : NoneOfAll();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected PasidAllocation AllocateUngated<TPolicy>(ref TPolicy policy, in PasidRequest request)
        where TPolicy : struct, IPickPolicy
    {
        uint first = Math.Max(request.Range.First, _first);
        uint last = Math.Min(request.Range.Last, _last);
        if (first > last)
        {
            return PasidAllocation.None(PasidAllocationStatus.InvalidRange);
        }

        uint pasid = policy.TakeWithin(ref _bitmap, first, last);
        return pasid != PasidBitmap.None
            ? PasidAllocation.Of(pasid)
            : PasidAllocation.None(PasidAllocationStatus.NoSpace);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private PasidAllocation AllocateWithin<TPolicy>(ref TPolicy policy, in PasidRequest request)
        where TPolicy : struct, IPickPolicy
    {
        _gate.Enter();
        PasidAllocation allocation = AllocateUngated(ref policy, in request);
        _gate.Exit();
        return allocation;
    }

    // A range that covers an empty one has no PASID in common with it.
    private PasidAllocation NoneOfAll() => PasidAllocation.None(
        _bitmap.Count == 0 ? PasidAllocationStatus.InvalidRange : PasidAllocationStatus.NoSpace);

    private bool TryReserveUngated(Pasid pasid) => !Range.Contains(pasid.Value) || _bitmap.TryReserve(pasid.Value);
    private bool IsLiveUngated(Pasid pasid) => Range.Contains(pasid.Value) && _bitmap.IsLive(pasid.Value);
}
