using System.Buffers.Binary;
using PasidFramework.Drivers.VirtioIommu.Formats;
using PasidFramework.Drivers.VirtioIommu.Requests;
using PasidFramework.Drivers.VirtioIommu.Transport;
using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Hardware;

// OASIS virtio 1.2 to 1.4, IOMMU device, "Device operations": what each request must answer. What the proposals should
// answer is nowhere written; they follow the standard's rules for the like (reserved and unknown bits INVAL, unknown
// endpoint or domain NOENT, values beyond a limit RANGE).

/// <content>The requests.</content>
internal sealed partial class VirtioIommuHardware
{
    private const int Unusable = -1;

    private static readonly ulong[] s_attachReserved = ReservedBits(AttachRequest.Layout);
    private static readonly ulong[] s_unmapReserved = ReservedBits(UnmapRequest.Layout);
    private static readonly ulong[] s_probeReserved = ReservedBits(ProbeRequest.Layout);
    private static readonly ulong[] s_attachBReserved = ReservedBits(ProposalBAttachPstArm.Layout);
    private static readonly ulong[] s_attachEReserved = ReservedBits(ProposalEAttachArmSmmu3.Layout);
    private static readonly ulong[] s_invalidateBReserved = ReservedBits(ProposalBInvalidate.Layout);
    private static readonly ulong[] s_invalidateEReserved = ReservedBits(ProposalEInvalidate.Layout);

    /// <summary>Carries one request out and fills <c>_answer</c>.</summary>
    /// <returns>Bytes to write; 0 for a request that is not recognised; negative where the chain cannot hold it.</returns>
    private int Handle(ReadOnlySpan<byte> request, long writableBytes)
    {
        if (request.Length < 1 || writableBytes < RequestTail.Bytes)
        {
            return Unusable;
        }

        Span<ulong> words = stackalloc ulong[TableDialect.MaxWords];
        Load(request, words);
        var type = (RequestType)words.Get(RequestHead.Type);
        if (type == RequestType.Probe)
        {
            // Without PROBE negotiated the type does not exist.
            return Has(FeatureBits.Probe) ? Probe(request, words, writableBytes) : 0;
        }

        RequestStatus? status = type switch
        {
            RequestType.Attach => Attach(request, words),
            RequestType.Detach => Detach(request, words),
            RequestType.Map => Map(request, words),
            RequestType.Unmap => Unmap(request, words),
            RequestType.AttachTable => AttachTable(request, words),
            RequestType.Invalidate => Invalidate(request, words),
            _ => null,
        };
        if (status is null)
        {
            return 0;
        }

        Tail(status.Value, 0);
        return RequestTail.Bytes;
    }

    private RequestStatus Attach(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (request.Length < AttachRequest.DriverBytes || HasReserved(s_attachReserved, words))
        {
            return RequestStatus.Inval;
        }

        var flags = (uint)words.Get(AttachRequest.Flags);
        uint known = Has(FeatureBits.BypassConfig) ? AttachRequest.FlagBypass : 0;
        if ((flags & ~known) != 0)
        {
            return RequestStatus.Inval;
        }

        bool bypass = (flags & AttachRequest.FlagBypass) != 0;
        return Join(
            (uint)words.Get(AttachRequest.Domain), (uint)words.Get(AttachRequest.Endpoint), bypass, table: null);
    }

    private RequestStatus? AttachTable(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (_options.Dialect is not { } dialect || !Has(dialect.AttachFeature))
        {
            return null;
        }

        ulong[] reserved = dialect is ProposalBDialect ? s_attachBReserved : s_attachEReserved;
        if (request.Length < dialect.AttachBytes || HasReserved(reserved, words))
        {
            return RequestStatus.Inval;
        }

        DeviceTable table;
        if (dialect is ProposalBDialect)
        {
            if (words.Get(ProposalBAttachPstArm.Format) != ProposalBAttachPstArm.FormatArmSmmuV3)
            {
                return RequestStatus.Unsupp;
            }

            ulong width = words.Get(ProposalBAttachPstArm.S1CdMax);
            table = new DeviceTable(
                (int)words.Get(ProposalBAttachPstArm.S1Fmt),
                words.Get(ProposalBAttachPstArm.S1ContextPtr),
                (int)Math.Min(width, 32),
                (int)words.Get(ProposalBAttachPstArm.S1Dss));
        }
        else
        {
            if (words.Get(ProposalEAttachArmSmmu3.Format) != ProposalEAttachArmSmmu3.FormatArmSmmu3)
            {
                return RequestStatus.Unsupp;
            }

            // Arm IHI 0070 section 5.2: V 0, Config 3:1, S1Fmt 5:4, S1ContextPtr 55:6, S1CDMax 63:59; word 1: S1DSS 1:0.
            ulong ste0 = words.Get(ProposalEAttachArmSmmu3.Ste0);
            const ulong ValidStage1 = 0b1011;
            if ((ste0 & 0xF) != ValidStage1)
            {
                return RequestStatus.Inval;
            }

            table = new DeviceTable(
                (int)((ste0 >> 4) & 3),
                ste0 & 0x00FF_FFFF_FFFF_FFC0,
                (int)(ste0 >> 59),
                (int)(words.Get(ProposalEAttachArmSmmu3.Ste1) & 3));
        }

        if (table.S1Fmt > 2 || table.S1Dss > 2 || (table.S1ContextPtr & 63) != 0)
        {
            return RequestStatus.Inval;
        }

        if (table.S1CdMax > _pasidBits)
        {
            return RequestStatus.Range;
        }

        // Domain and endpoint are where the standard's ATTACH has them, in both proposals.
        return Join(
            (uint)words.Get(AttachRequest.Domain), (uint)words.Get(AttachRequest.Endpoint), bypass: false, table);
    }

    private RequestStatus Join(uint domainId, uint endpoint, bool bypass, DeviceTable? table)
    {
        if (!Exists(endpoint))
        {
            return RequestStatus.NoEnt;
        }

        if (_domains.TryGetValue(domainId, out DeviceDomain? domain))
        {
            if (domain.Table != table)
            {
                return RequestStatus.Unsupp;
            }

            if (domain.Bypass != bypass)
            {
                return RequestStatus.Inval;
            }

            if (_endpoints.TryGetValue(endpoint, out DeviceDomain? current) && ReferenceEquals(current, domain))
            {
                return RequestStatus.Ok;
            }
        }
        else
        {
            domain = new DeviceDomain { Id = domainId, Bypass = bypass, Table = table };
        }

        Leave(endpoint);
        _domains[domainId] = domain;
        _endpoints[endpoint] = domain;
        domain.Endpoints++;
        return RequestStatus.Ok;
    }

    private void Leave(uint endpoint)
    {
        if (_endpoints.Remove(endpoint, out DeviceDomain? domain) && --domain.Endpoints == 0)
        {
            _domains.Remove(domain.Id);
        }
    }

    private RequestStatus Detach(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (request.Length < DetachRequest.DriverBytes)
        {
            return RequestStatus.Inval;
        }

        var endpoint = (uint)words.Get(DetachRequest.Endpoint);
        if (!Exists(endpoint))
        {
            return RequestStatus.NoEnt;
        }

        if (!_endpoints.TryGetValue(endpoint, out DeviceDomain? domain)
            || domain.Id != (uint)words.Get(DetachRequest.Domain))
        {
            return RequestStatus.Inval;
        }

        Leave(endpoint);
        return RequestStatus.Ok;
    }

    private RequestStatus Map(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (request.Length < MapRequest.DriverBytes)
        {
            return RequestStatus.Inval;
        }

        uint known = MapRequest.FlagRead | MapRequest.FlagWrite
            | (_options.Dialect is not ProposalBDialect && Has(FeatureBits.Mmio) ? MapRequest.FlagMmio : 0);
        var flags = (uint)words.Get(MapRequest.Flags);
        ulong start = words.Get(MapRequest.VirtStart);
        ulong last = words.Get(MapRequest.VirtEnd);
        ulong physical = words.Get(MapRequest.PhysStart);
        if ((flags & ~known) != 0 || last < start)
        {
            return RequestStatus.Inval;
        }

        if (!_domains.TryGetValue((uint)words.Get(MapRequest.Domain), out DeviceDomain? domain))
        {
            return RequestStatus.NoEnt;
        }

        if (domain.Bypass || domain.Table is not null)
        {
            return RequestStatus.Inval;
        }

        // A last byte of 2^64 - 1 wraps to an aligned 0.
        const ulong Misaligned = (1UL << 12) - 1;
        if (((start | physical | unchecked(last + 1)) & Misaligned) != 0)
        {
            return RequestStatus.Range;
        }

        foreach (DeviceMapping mapping in domain.Mappings.Values)
        {
            if (mapping.Start <= last && start <= mapping.Last)
            {
                return RequestStatus.Inval;
            }
        }

        domain.Mappings.Add(start, new DeviceMapping(start, last, physical, flags));
        return RequestStatus.Ok;
    }

    private RequestStatus Unmap(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (request.Length < UnmapRequest.DriverBytes || HasReserved(s_unmapReserved, words))
        {
            return RequestStatus.Inval;
        }

        if (!_domains.TryGetValue((uint)words.Get(UnmapRequest.Domain), out DeviceDomain? domain))
        {
            return RequestStatus.NoEnt;
        }

        if (domain.Bypass || domain.Table is not null)
        {
            return RequestStatus.Inval;
        }

        ulong start = words.Get(UnmapRequest.VirtStart);
        ulong last = words.Get(UnmapRequest.VirtEnd);
        var affected = new List<ulong>();
        foreach (DeviceMapping mapping in domain.Mappings.Values)
        {
            if (mapping.Start > last || mapping.Last < start)
            {
                continue;
            }

            if (mapping.Start < start || mapping.Last > last)
            {
                return RequestStatus.Range;
            }

            affected.Add(mapping.Start);
        }

        foreach (ulong key in affected)
        {
            domain.Mappings.Remove(key);
        }

        return RequestStatus.Ok;
    }

    private RequestStatus? Invalidate(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (_options.Dialect is not { } dialect || !Has(dialect.AttachFeature))
        {
            return null;
        }

        bool isB = dialect is ProposalBDialect;
        ulong[] reserved = isB ? s_invalidateBReserved : s_invalidateEReserved;
        if (request.Length < dialect.InvalidateBytes || HasReserved(reserved, words))
        {
            return RequestStatus.Inval;
        }

        ulong scope = isB ? words.Get(ProposalBInvalidate.Scope) : words.Get(ProposalEInvalidate.Scope);
        ulong flags = words.Get(ProposalBInvalidate.Flags);
        bool pages = isB ? scope == ProposalBInvalidate.ScopeVa : scope == ProposalEInvalidate.ScopeAddress;
        bool pasidScope = isB ? scope == ProposalBInvalidate.ScopePasid : scope == ProposalEInvalidate.ScopePasid;
        bool wholeDomain = isB ? scope == ProposalBInvalidate.ScopeDomain : scope == ProposalEInvalidate.ScopeDomain;
        if (!(pages || pasidScope || wholeDomain))
        {
            return RequestStatus.Inval;
        }

        ulong knownFlags = isB
            ? ProposalBInvalidate.FlagConfig | ProposalBInvalidate.FlagLeaf
            : (ulong)ProposalEInvalidate.FlagLeaf | ProposalEInvalidate.FlagPasid | ProposalEInvalidate.FlagId
                | ProposalEInvalidate.FlagGlobal;
        if ((flags & ~knownFlags) != 0 || (!isB && words.Get(ProposalEInvalidate.Caches) is 0 or > 3))
        {
            return RequestStatus.Inval;
        }

        if (!_domains.TryGetValue((uint)words.Get(ProposalBInvalidate.Domain), out DeviceDomain? domain))
        {
            return RequestStatus.NoEnt;
        }

        if (domain.Table is not { } table)
        {
            return RequestStatus.Inval;
        }

        if (!wholeDomain && words.Get(ProposalBInvalidate.Pasid) >> table.S1CdMax != 0)
        {
            return RequestStatus.Range;
        }

        if (pages)
        {
            // The fields of the range lie at the same bytes in both proposals.
            var granule = (int)words.Get(ProposalBInvalidate.Granule);
            if (granule > 63 || (PageSizes & (1UL << granule)) == 0)
            {
                return RequestStatus.Inval;
            }

            if ((words.Get(ProposalBInvalidate.VirtStart) & ((1UL << granule) - 1)) != 0)
            {
                return RequestStatus.Range;
            }
        }

        // Nothing is cached here, so there is nothing to drop.
        return RequestStatus.Ok;
    }

    private int Probe(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words, long writableBytes)
    {
        if (writableBytes < ProbeBytes + RequestTail.Bytes)
        {
            return Unusable;
        }

        Array.Clear(_answer);
        RequestStatus status = request.Length < ProbeRequest.DriverBytes || HasReserved(s_probeReserved, words)
            ? RequestStatus.Inval
            : Exists((uint)words.Get(ProbeRequest.Endpoint)) ? RequestStatus.Ok : RequestStatus.NoEnt;
        if (status == RequestStatus.Ok)
        {
            WriteProperties(_answer);
        }

        Tail(status, ProbeBytes);
        return ProbeBytes + RequestTail.Bytes;
    }

    private void WriteProperties(Span<byte> answer)
    {
        Span<ulong> words = stackalloc ulong[3];
        words.Clear();
        words.Set(ResvMemProperty.Subtype, 1);
        words.Set(ResvMemProperty.Start, MsiFirst);
        words.Set(ResvMemProperty.End, MsiLast);
        int at = Append(answer, 0, ResvMemProperty.Layout, ResvMemProperty.TypeNumber, words);
        if (_pasidBits == 0)
        {
            return;
        }

        words.Clear();
        if (_options.Dialect is ProposalBDialect && Has(FeatureBits.ProposalBAttachTable))
        {
            words.Set(ProposalBPasidSizeProperty.Bits, (ulong)_pasidBits);
            at = Append(answer, at, ProposalBPasidSizeProperty.Layout, ProposalBPasidSizeProperty.TypeNumber, words);
            words.Clear();
            words.Set(ProposalBPasidTableFormatProperty.Format, ProposalBAttachPstArm.FormatArmSmmuV3);
            Append(
                answer,
                at,
                ProposalBPasidTableFormatProperty.Layout,
                ProposalBPasidTableFormatProperty.TypeNumber,
                words);
        }
        else if (_options.Dialect is ProposalEDialect && Has(FeatureBits.ProposalEAttachTable))
        {
            // IDR0: S1P 1, TTF 3:2 = 2 (AArch64), ASID16 12, CD2L 19. IDR1: SSIDSIZE 10:6. IDR5: GRAN4K 4, OAS = 5.
            words.Set(ProposalEArmProperty.Idr0, (1u << 1) | (2u << 2) | (1u << 12) | (1u << 19));
            words.Set(ProposalEArmProperty.Idr1, (ulong)_pasidBits << 6);
            words.Set(ProposalEArmProperty.Idr5, (1u << 4) | 5u);
            Append(answer, at, ProposalEArmProperty.Layout, ProposalEArmProperty.TypeNumber, words);
        }
    }

    private static int Append(Span<byte> answer, int at, Layout layout, int type, Span<ulong> words)
    {
        words.Set(ProbeProperty.Type, (ulong)type);
        words.Set(ProbeProperty.Length, (ulong)(layout.Bytes - ProbeProperty.HeadBytes));
        layout.ToBytes(words).CopyTo(answer[at..]);
        return at + layout.Bytes;
    }

    private void Tail(RequestStatus status, int offset)
    {
        _answer.AsSpan(offset, RequestTail.Bytes).Clear();
        _answer[offset] = (byte)status;
    }

    private static bool HasReserved(ulong[] mask, ReadOnlySpan<ulong> words)
    {
        for (int i = 0; i < mask.Length; i++)
        {
            if ((words[i] & mask[i]) != 0)
            {
                return true;
            }
        }

        return false;
    }

    private static ulong[] ReservedBits(Layout layout)
    {
        var mask = new ulong[layout.Words];
        foreach (Field part in layout.Fields.Where(f => f.Kind == FieldKind.Reserved).SelectMany(f => f.Parts))
        {
            mask[part.Word] |= part.WordMask;
        }

        return mask;
    }

    // Bytes that the driver did not send read as 0; the tail is not sent.
    private static void Load(ReadOnlySpan<byte> request, Span<ulong> words)
    {
        Span<byte> padded = stackalloc byte[TableDialect.MaxWords * 8];
        padded.Clear();
        request[..Math.Min(request.Length, padded.Length)].CopyTo(padded);
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = BinaryPrimitives.ReadUInt64LittleEndian(padded[(i * 8)..]);
        }
    }
}
