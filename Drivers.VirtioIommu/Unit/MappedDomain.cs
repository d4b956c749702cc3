// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>One domain of the standard: what of a process's page table the device has been told with MAP, one mapping
/// for each page of 4096 bytes (OASIS virtio 1.2 sections 5.13.6.3 to 5.13.6.6).</summary>
/// <remarks>
/// <para>One mapping a page, although a MAP may span many: UNMAP must not split a mapping, so a page that changes would
/// take its neighbours away for a moment, under the accesses of devices.</para>
/// <para>Operations of one domain are never called concurrently, as the unit promises.</para>
/// </remarks>
internal sealed class MappedDomain(StartedDevice device, IPageTableFormat format, uint number) : UnitDomain<UnitDevice>
{
    /// <summary>Most pages of a process: 4 GiB. What a page table says is not trusted further.</summary>
    public const int MaxPages = 1 << 20;

    private const ulong PageMask = 4095;

    private static readonly Comparer<PageMapping> s_byAddress =
        Comparer<PageMapping>.Create((a, b) => a.Address.CompareTo(b.Address));

    // What the device has, or may have where it did not answer.
    private readonly SortedSet<PageMapping> _mapped = new(s_byAddress);
    private readonly Dictionary<uint, IReadOnlyList<ReservedRegion>> _endpoints = [];
    private ulong _root;
    private bool _isBound;
    private bool _hasExited;
    public uint Number => number;

    /// <summary>Pages that the device has or may have.</summary>
    public int MappedPages => _mapped.Count;

    /// <summary>Asks an endpoint for its reserved regions and attaches it. It reaches at once what the domain
    /// maps.</summary>
    /// <returns>Success; EINVAL where a mapped page lies in a reserved region of it; the device's refusal.</returns>
    public OpResult AddEndpoint(uint endpoint)
    {
        OpResult<EndpointProperties> probed = device.Probe(endpoint);
        if (!probed.IsOk)
        {
            return probed.Outcome;
        }

        IReadOnlyList<ReservedRegion> reserved = probed.Value.ReservedRegions;
        OpResult result = _isBound ? OpResult.Ok : UnmapAll();
        if (!result.IsOk)
        {
            return result;
        }

        foreach (PageMapping page in _mapped)
        {
            if (Meets(reserved, page.Address) is { } region)
            {
                return Refuse(
                    Errno.EINVAL, $"endpoint 0x{endpoint:x} keeps {region}, and page 0x{page.Address:x} is mapped");
            }
        }

        result = device.Standard.Attach(Number, endpoint, 0);
        if (result.IsOk)
        {
            _endpoints[endpoint] = reserved;
        }
        else
        {
            // Without an answer it may come in later.
            MayBeWalked |= UnitProcess.IsUnconfirmed(result);
        }

        return result;
    }

    /// <summary>Detaches an endpoint. With the last one the device forgets the domain and its mappings.</summary>
    /// <returns>Success; the device's refusal: no process is let into the domain any more.</returns>
    public OpResult RemoveEndpoint(uint endpoint)
    {
        OpResult result = device.Standard.Detach(Number, endpoint);
        _endpoints.Remove(endpoint);
        MayBeWalked |= !result.IsOk;
        if (_endpoints.Count == 0 && !MayBeWalked)
        {
            _mapped.Clear();
        }

        return result;
    }

    /// <returns>Success. EOPNOTSUPP: the domain has a process. EINVAL: a page that the device cannot map. ENOMEM: too
    /// many pages, for the framework or the device. In these cases nothing is mapped. EIO, ETIMEDOUT: the device did
    /// not confirm.</returns>
    protected override OpResult Install(UnitLink link)
    {
        if (_isBound)
        {
            // Not EEXIST: it is another process, and requests without a PASID cannot be told apart, ever.
            return Refuse(Errno.EOPNOTSUPP,
                $"PASID 0x{link.Pasid.Value:x} would be the second process: without PASIDs a domain has one address "
                    + $"space");
        }

        if (MayBeWalked)
        {
            return Refuse(Errno.EIO, $"an endpoint whose ATTACH or DETACH was not confirmed may be in it");
        }

        OpResult result = UnmapAll();
        if (!result.IsOk)
        {
            return result;
        }

        var pages = new List<PageMapping>();
        foreach (PageMapping page in Pages(link.PageTableRoot, 0, ulong.MaxValue))
        {
            if (Objection(page) is { } objection)
            {
                return Refuse(Errno.EINVAL, $"{objection}; nothing was mapped");
            }

            if (pages.Count == MaxPages)
            {
                return Refuse(Errno.ENOMEM, $"the process maps more than {MaxPages} pages; nothing was mapped");
            }

            pages.Add(page);
        }

        foreach (PageMapping page in pages)
        {
            result = Map(page);
            if (!result.IsOk)
            {
                OpResult undone = UnmapAll();
                return undone.IsOk ? AsRefusal(result) : undone;
            }
        }

        _root = link.PageTableRoot;
        _isBound = true;
        _hasExited = false;
        return OpResult.Ok;
    }

    /// <summary>Nothing: what can be unmapped is; the rest goes before the domain gets its next process.</summary>
    protected override void RollBack(UnitLink link)
    {
    }

    /// <summary>The last device leaves the process: unmaps everything.</summary>
    /// <returns>Success; EIO, ETIMEDOUT: what is left goes before the domain gets its next process or
    /// endpoint.</returns>
    protected override OpResult Clear(UnitLink link)
    {
        _isBound = false;
        return UnmapAll();
    }

    /// <summary>The process died: unmaps everything and maps nothing any more.</summary>
    protected override OpResult Quiet(UnitLink link)
    {
        _hasExited = true;
        return UnmapAll();
    }

    /// <summary>Makes the device's mappings of a range what the page table says now. Pages that did not change are not
    /// touched.</summary>
    /// <returns>Success, also where a page cannot be mapped: it faults, and a line says so; EIO, ETIMEDOUT.</returns>
    protected override OpResult InvalidateRange(UnitLink link, IovaRange range)
    {
        if (!_isBound || _hasExited)
        {
            return OpResult.Ok;
        }

        ulong first = range.First & ~PageMask;
        ulong last = range.Last | PageMask;

        // What lies beyond the device's range was not mapped and cannot be.
        ulong from = Math.Max(first, (device.Config.InputFirst + PageMask) & ~PageMask);
        List<PageMapping> wanted = Wanted(from, Math.Min(last, device.Config.InputLast));
        PageMapping[] held =
            [.. _mapped.GetViewBetween(new PageMapping(first, 0, false), new PageMapping(last, 0, false))];
        OpResult result = Drop(held, wanted);
        if (!result.IsOk)
        {
            return result;
        }

        foreach (PageMapping page in wanted)
        {
            if (_mapped.Contains(page))
            {
                continue;
            }

            result = Map(page);
            if (UnitProcess.IsUnconfirmed(result))
            {
                return result;
            }

            if (!result.IsOk)
            {
                device.Warn(Text($"page 0x{page.Address:x} stays unmapped: {result.Reason}"));
            }
        }

        return OpResult.Ok;
    }

    private static string? Meets(IReadOnlyList<ReservedRegion> reserved, ulong page)
    {
        foreach (ReservedRegion region in reserved)
        {
            if (page <= region.Last && page + PageMask >= region.Start)
            {
                string kind = region.Subtype == 1 ? "MSI" : "reserved";
                return Text($"the {kind} region 0x{region.Start:x} to 0x{region.Last:x} (RESV_MEM)");
            }
        }

        return null;
    }

    private static OpResult AsRefusal(OpResult result) => result.Errno switch
    {
        Errno.ERANGE => OpResult.Refuse(Errno.EINVAL, result.Reason!),
        Errno.ENOENT or Errno.EFAULT => OpResult.Refuse(Errno.EIO, result.Reason!),
        _ => result,
    };

    private IEnumerable<PageMapping> Pages(ulong root, ulong first, ulong last) =>
        format.Mappings(device.Memory, root, first, last) ?? [];

    // Why the device cannot map a page; null for no reason.
    private string? Objection(in PageMapping page)
    {
        (ulong first, ulong last) = (device.Config.InputFirst, device.Config.InputLast);
        if (page.Address < first || page.Address + PageMask > last)
        {
            return Text($"page 0x{page.Address:x} is beyond the device's input_range 0x{first:x} to 0x{last:x}");
        }

        foreach ((uint endpoint, IReadOnlyList<ReservedRegion> reserved) in _endpoints)
        {
            if (Meets(reserved, page.Address) is { } region)
            {
                return Text($"page 0x{page.Address:x} lies in {region} of endpoint 0x{endpoint:x}");
            }
        }

        return null;
    }

    private List<PageMapping> Wanted(ulong first, ulong last)
    {
        var wanted = new List<PageMapping>();
        if (first > last)
        {
            return wanted;
        }

        int looked = 0;
        foreach (PageMapping page in Pages(_root, first, last))
        {
            if (++looked > MaxPages)
            {
                device.Warn(Text($"pages from 0x{page.Address:x} on stay unmapped: {MaxPages} are the limit"));
                break;
            }

            if (Objection(page) is { } objection)
            {
                device.Warn($"{objection}: it stays unmapped");
            }
            else
            {
                wanted.Add(page);
            }
        }

        return wanted;
    }

    // Unmaps what is held and not wanted as it is held: one request for each stretch without a page that stays.
    private OpResult Drop(PageMapping[] held, List<PageMapping> wanted)
    {
        var gone = new List<PageMapping>();
        HashSet<PageMapping> stays = [.. wanted];
        foreach (PageMapping page in held)
        {
            if (!stays.Contains(page))
            {
                gone.Add(page);
            }
            else if (Unmap(gone) is { IsOk: false } refusal)
            {
                return refusal;
            }
        }

        return Unmap(gone);
    }

    private OpResult Unmap(List<PageMapping> pages)
    {
        if (pages.Count == 0)
        {
            return OpResult.Ok;
        }

        OpResult result = Unmap(pages[0].Address, pages[^1].Address + PageMask);
        if (result.IsOk)
        {
            _mapped.ExceptWith(pages);
            pages.Clear();
        }

        return result;
    }

    private OpResult UnmapAll()
    {
        if (_mapped.Count == 0)
        {
            return OpResult.Ok;
        }

        OpResult result = Unmap(_mapped.Min.Address, _mapped.Max.Address + PageMask);
        if (result.IsOk)
        {
            _mapped.Clear();
        }

        return result;
    }

    // Whatever keeps a page mapped is unconfirmed to whoever asked for it.
    private OpResult Unmap(ulong first, ulong last)
    {
        OpResult result = device.Standard.Unmap(Number, first, last);
        return result.IsOk || UnitProcess.IsUnconfirmed(result) ? result : OpResult.Refuse(Errno.EIO, result.Reason!);
    }

    private OpResult Map(in PageMapping page)
    {
        OpResult result = device.Standard.Map(
            Number,
            page.Address,
            page.Address + PageMask,
            page.Target,
            Formats.MapRequest.FlagRead | (page.IsWritable ? Formats.MapRequest.FlagWrite : 0));
        if (result.IsOk || UnitProcess.IsUnconfirmed(result))
        {
            _mapped.Add(page);
        }

        return result;
    }

    private OpResult Refuse(Errno errno, InvariantText why) => OpResult.Refuse(
        errno, Text($"virtio-iommu domain {Number} (dialect map): {Text(why)}"));
}
