// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// Asks a hypervisor for every PASID and checks what it answers; it never invents one (A11).
/// </summary>
/// <remarks>
/// <para>The host chooses without knowing the request. Its PASID is handed on only where it lies in
/// <see cref="Range"/>, is not live here, and fits the request. One that fits another request goes back to the host
/// and the answer is NoSpace. One that is reserved here is kept from then on and the host is asked again: given back,
/// the host would offer it for ever. One outside of <see cref="Range"/> goes back, one that is live already does not
/// (that would free its holder's), and both are DeviceError, as is every unknown status.</para>
/// <para>Unlike the other allocators it waits for the host, and so do concurrent callers: the registers carry one
/// command at a time, and a free that the host has not answered may not race with the host allocating the PASID
/// again. That is why it takes a lock instead of spinning for as long as a virtual machine exit.</para>
/// </remarks>
public sealed class DelegatedPasidAllocator : IPasidAllocator, ISelfChecking
{
    private readonly IPasidHost _host;
    private readonly Lock _lock = new();
    private readonly ulong[] _kept;
    private PasidBitmap _bitmap;

    /// <summary>Makes an allocator that holds no PASID.</summary>
    /// <param name="host">The hypervisor.</param>
    /// <param name="range">The PASIDs that may be handed on; may be empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public DelegatedPasidAllocator(IPasidHost host, PasidRange range)
    {
        ArgumentNullException.ThrowIfNull(host);
        _host = host;
        Range = range;
        _bitmap = new PasidBitmap(range);
        _kept = new ulong[(range.Count + 63) / 64];
    }

    public string Name => "delegated";
    public PasidRange Range { get; }
    public int LiveCount => _bitmap.LiveCount;

    public PasidAllocation Allocate(in PasidRequest request)
    {
        PasidRange wanted = request.Range.Intersect(Range);
        if (wanted.IsEmpty)
        {
            return PasidAllocation.None(PasidAllocationStatus.InvalidRange);
        }

        lock (_lock)
        {
            // Whatever the host gave could not be used: spare the exit.
            if (_bitmap.FindNext(wanted.First, wanted.Last) == PasidBitmap.None)
            {
                return PasidAllocation.None(PasidAllocationStatus.NoSpace);
            }

            while (true)
            {
                PasidHostResponse response = _host.Allocate();
                if (response.Status != PasidHostStatus.Ok)
                {
                    return PasidAllocation.None(response.Status == PasidHostStatus.NoPasidAvailable
                        ? PasidAllocationStatus.NoSpace
                        : PasidAllocationStatus.DeviceError);
                }

                if (!Range.Contains(response.Pasid))
                {
                    GiveBack(response.Pasid);
                    return PasidAllocation.None(PasidAllocationStatus.DeviceError);
                }

                // Each turn keeps one more reserved PASID, so a host that repeats itself ends the loop.
                if (_bitmap.IsReserved(response.Pasid) && TryKeep(response.Pasid))
                {
                    continue;
                }

                if (_bitmap.IsReserved(response.Pasid) || _bitmap.IsLive(response.Pasid))
                {
                    return PasidAllocation.None(PasidAllocationStatus.DeviceError);
                }

                if (!wanted.Contains(response.Pasid))
                {
                    GiveBack(response.Pasid);
                    return PasidAllocation.None(PasidAllocationStatus.NoSpace);
                }

                _bitmap.Take(response.Pasid);
                return PasidAllocation.Of(response.Pasid);
            }
        }
    }

    /// <remarks>DeviceError where the host does not take it back, "invalid" included: host and guest disagree about
    /// who holds the PASID, so no other process may get it.</remarks>
    public PasidFreeStatus Free(Pasid pasid)
    {
        if (!Range.Contains(pasid.Value))
        {
            return PasidFreeStatus.NotAllocated;
        }

        lock (_lock)
        {
            if (!_bitmap.IsLive(pasid.Value))
            {
                return PasidFreeStatus.NotAllocated;
            }

            if (_host.Free(pasid).Status != PasidHostStatus.Ok)
            {
                return PasidFreeStatus.DeviceError;
            }

            _ = _bitmap.TryRelease(pasid.Value);
            return PasidFreeStatus.Freed;
        }
    }

    /// <remarks>The host is not notified. True for a PASID outside of <see cref="Range"/>: it is never allocated
    /// on.</remarks>
    public bool TryReserve(Pasid pasid)
    {
        if (!Range.Contains(pasid.Value))
        {
            return true;
        }

        lock (_lock)
        {
            return _bitmap.TryReserve(pasid.Value);
        }
    }

    public bool IsLive(Pasid pasid)
    {
        if (!Range.Contains(pasid.Value))
        {
            return false;
        }

        lock (_lock)
        {
            return _bitmap.IsLive(pasid.Value);
        }
    }

    void ISelfChecking.AssertInvariants()
    {
        lock (_lock)
        {
            _bitmap.AssertInvariants();
            for (int i = 0; i < Range.Count; i++)
            {
                Invariant.Holds(
                    ((_kept[i / 64] >> (i % 64)) & 1) == 0 || _bitmap.IsReserved(Range.First + (uint)i),
                    "a PASID is kept from the host without being reserved");
            }
        }
    }

    private bool TryKeep(uint pasid)
    {
        uint index = pasid - Range.First;
        ulong bit = 1UL << (int)index;
        bool isNew = (_kept[index >> 6] & bit) == 0;
        _kept[index >> 6] |= bit;
        return isNew;
    }

    // Best effort: the answer is an error already, and a PASID that stays behind is the host's loss, not a danger.
    private void GiveBack(uint pasid)
    {
        if (pasid <= Pasid.MaxValue)
        {
            _ = _host.Free(new Pasid(pasid));
        }
    }
}
