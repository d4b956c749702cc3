using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Identifiers;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Queues;

/// <summary>
/// Descriptors that are submitted together, in stages: what depends on an earlier stage (device TLB on IOTLB on PASID
/// cache, invariant D5) stands behind a fence.
/// </summary>
/// <remarks>
/// A batch that outgrows its buffer submits what it has and waits for it, which is a stronger order than a fence.
/// </remarks>
internal ref struct DescriptorBatch
{
    /// <summary>Words of the buffer that a caller provides: 16 descriptors.</summary>
    public const int BufferWords = 16 * Invalidation.Words;

    // The depth of a device's invalidation queue is not known to the framework; one at a time suits every device, 0
    // would mean 32.
    private const ulong MaxInvalidationsPending = 1;

    private readonly InvalidationQueue _queue;
    private readonly Span<ulong> _buffer;
    private int _words;
    private OpResult _result;

    public DescriptorBatch(InvalidationQueue queue, Span<ulong> buffer)
    {
        _queue = queue;
        _buffer = buffer;
        _words = 0;
        _result = OpResult.Ok;
    }

    /// <summary>Whether nothing was added since the last submission.</summary>
    public readonly bool IsEmpty => _words == 0;

    /// <summary>All configuration of one device, or of all devices.</summary>
    public void ContextCache(ulong granularity, ushort requester = 0)
    {
        Span<ulong> words = Next(Invalidation.ContextCache);
        words.Set(InvContextCache.G, granularity);
        words.Set(InvContextCache.SID, requester);
    }

    /// <summary>PASID entries.</summary>
    public void PasidCache(ulong granularity, ushort domainId = 0, Pasid pasid = default)
    {
        Span<ulong> words = Next(Invalidation.PasidCache);
        words.Set(InvPasidCache.G, granularity);
        words.Set(InvPasidCache.DID, domainId);
        words.Set(InvPasidCache.PASID, pasid.Value);
    }

    /// <summary>Translations of a domain id or all; requests in flight are drained.</summary>
    public void Iotlb(ulong granularity, ushort domainId = 0)
    {
        Span<ulong> words = Next(Invalidation.Iotlb);
        words.Set(InvIotlb.G, granularity);
        words.Set(InvIotlb.DW, 1);
        words.Set(InvIotlb.DR, 1);
        words.Set(InvIotlb.DID, domainId);
    }

    /// <summary>All translations of one PASID.</summary>
    public void PasidIotlb(ushort domainId, Pasid pasid)
    {
        Span<ulong> words = Next(Invalidation.PasidIotlb);
        words.Set(InvPasidIotlb.G, InvPasidIotlb.Pasid);
        words.Set(InvPasidIotlb.DID, domainId);
        words.Set(InvPasidIotlb.PASID, pasid.Value);
    }

    /// <summary>One block of one PASID's translations. IH stays 0: upper tables may have changed too.</summary>
    public void PasidIotlb(ushort domainId, Pasid pasid, ulong address, int addressMask)
    {
        Span<ulong> words = Next(Invalidation.PasidIotlb);
        words.Set(InvPasidIotlb.G, InvPasidIotlb.Page);
        words.Set(InvPasidIotlb.DID, domainId);
        words.Set(InvPasidIotlb.PASID, pasid.Value);
        words.Set(InvPasidIotlb.AM, (ulong)addressMask);
        words.SetAddress(InvPasidIotlb.ADDR, address);
    }

    /// <summary>Everything in a device's TLB that it asked for without a PASID.</summary>
    public void DeviceTlb(ushort requester)
    {
        Span<ulong> words = Next(Invalidation.DeviceTlb);
        words.Set(InvDeviceTlb.MIP, MaxInvalidationsPending);
        words.Set(InvDeviceTlb.SID, requester);
        words.Set(InvDeviceTlb.S, 1);
        words.SetAddress(InvDeviceTlb.ADDR, SizedAddress(0, InvalidationRange.WholeSpace));
    }

    /// <summary>Everything in a device's TLB that it asked for with any PASID (GI).</summary>
    public void PasidDeviceTlb(ushort requester)
    {
        PasidDeviceTlb(requester, default);
        _buffer[(_words - Invalidation.Words).._words].Set(InvPasidDeviceTlb.GI, 1);
    }

    /// <summary>One block of one PASID in a device's TLB.</summary>
    public void PasidDeviceTlb(
        ushort requester, Pasid pasid, ulong address = 0, int addressMask = InvalidationRange.WholeSpace)
    {
        Span<ulong> words = Next(Invalidation.PasidDeviceTlb);
        words.Set(InvPasidDeviceTlb.MIP, MaxInvalidationsPending);
        words.Set(InvPasidDeviceTlb.SID, requester);
        words.Set(InvPasidDeviceTlb.PASID, pasid.Value);
        words.Set(InvPasidDeviceTlb.S, addressMask > 0 ? 1u : 0);
        words.SetAddress(InvPasidDeviceTlb.ADDR, SizedAddress(address, addressMask));
    }

    /// <summary>What follows starts only when everything so far has completed.</summary>
    /// <remarks>
    /// It writes its status too, which nobody waits for: some emulations refuse a wait that neither writes nor
    /// interrupts.
    /// </remarks>
    public void Fence()
    {
        Span<ulong> words = Next(Invalidation.Wait);
        words.Set(InvWait.SW, 1);
        words.Set(InvWait.FN, 1);
    }

    /// <summary>Submits, and returns when all of it has completed.</summary>
    /// <param name="drain">Whether page requests are to be drained as well (ECAP.PDS).</param>
    /// <returns>Success; ETIMEDOUT; EIO where the queue stopped.</returns>
    public OpResult Submit(bool drain = false)
    {
        if (_result.IsOk && _words > 0)
        {
            _result = _queue.Submit(_buffer[.._words], drain);
        }

        _words = 0;
        return _result;
    }

    // The lowest 0 bit above bit 11 gives the size: k ones from bit 12 stand for 2^(k+1) pages.
    private static ulong SizedAddress(ulong address, int addressMask) =>
        addressMask == 0 ? address : address | (((1UL << (addressMask - 1)) - 1) << 12);

    private Span<ulong> Next(ulong type)
    {
        if (_words == _buffer.Length)
        {
            Submit();
        }

        Span<ulong> words = _buffer.Slice(_words, Invalidation.Words);
        _words += Invalidation.Words;
        words.Clear();
        words.Set(Invalidation.Type, type);
        return words;
    }
}
