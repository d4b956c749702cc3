// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>Operations of a domain by numbers alone; the links are kept here, as the core does.</summary>
internal static class DomainExtensions
{
    private static readonly UnitDevice s_device = new(new RequesterId(0), hasTlb: false);
    private static readonly ConditionalWeakTable<object, Dictionary<Pasid, UnitLink?>> s_links = [];

    public static OpResult Install(this DomainTable table, Pasid pasid, ulong root, uint asid)
    {
        UnitLink? link = null;
        OpResult result = table.Attach(pasid, root, new UnitProcess(asid), s_device, first: true, ref link);
        if (result.IsOk)
        {
            Links(table)[pasid] = link;
        }

        return result;
    }

    public static OpResult Quiet(this DomainTable table, Pasid pasid, uint asid) =>
        table.Exit(Link(table, pasid, asid));

    public static OpResult Remove(this DomainTable table, Pasid pasid, uint asid)
    {
        Links(table).Remove(pasid, out UnitLink? link);
        return table.Detach(s_device, last: true, ref link);
    }

    public static OpResult Invalidate(this DomainTable table, Pasid pasid, uint asid, ulong start, ulong end)
    {
        var range = IovaRange.FromStartEnd(start, end);
        return range.IsEmpty ? OpResult.Ok : table.Invalidate(Link(table, pasid, asid), range);
    }

    public static void ReleaseEndpoint(this DomainTable table, Pasid pasid, uint endpoint)
    {
        UnitLink? link = Links(table)[pasid];
        Assert.Equal(
            OpResult.Ok,
            table.Detach(new UnitDevice(new RequesterId(endpoint), hasTlb: false), last: false, ref link));
    }

    public static OpResult Attach(this MappedDomain domain, Pasid pasid, ulong root)
    {
        UnitLink? link = null;
        OpResult result = domain.Attach(pasid, root, null, s_device, first: true, ref link);
        if (result.IsOk)
        {
            Links(domain)[default] = link;
        }

        return result;
    }

    public static OpResult Detach(this MappedDomain domain) =>
        Links(domain).Remove(default, out UnitLink? link)
            ? domain.Detach(s_device, last: true, ref link)
            : OpResult.Ok;

    public static OpResult Exit(this MappedDomain domain) => domain.Exit(Links(domain)[default]);

    public static OpResult Invalidate(this MappedDomain domain, ulong start, ulong end)
    {
        var range = IovaRange.FromStartEnd(start, end);
        return range.IsEmpty ? OpResult.Ok : domain.Invalidate(Links(domain)[default], range);
    }

    private static Dictionary<Pasid, UnitLink?> Links(object domain) => s_links.GetOrCreateValue(domain);

    private static UnitLink? Link(DomainTable table, Pasid pasid, uint asid)
    {
        UnitLink? link = Links(table)[pasid];
        Assert.Equal(asid, link?.Tag);
        return link;
    }
}
