// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Drivers.ArmSmmu.Tests.Support;

/// <summary>A link by identifiers alone, kept as the core keeps it.</summary>
internal sealed class SmmuLink(UnitProcess process)
{
    public UnitLink? Link;
    public UnitProcess Process => process;
    public bool IsQuiet => Link?.IsQuiet ?? false;
}

/// <summary>A unit by identifiers alone, without the core's handles.</summary>
internal static class UnitExtensions
{
    private static readonly UnitDevice s_device = new(new RequesterId(0), hasTlb: false);
    private static readonly ConditionalWeakTable<UnitDevice, SmmuDomain> s_domains = [];
    public static OpResult<SmmuDomain> CreateDomain(this SmmuUnit unit, int pasidBits) => unit.AddDomain(1, pasidBits);

    public static OpResult<UnitDevice> AddStream(this SmmuUnit unit, SmmuDomain domain, RequesterId requester, bool ats)
    {
        OpResult<UnitDevice> stream = unit.AddDevice(domain, requester, ats ? DeviceFeatures.Ats : DeviceFeatures.None);
        if (stream.IsOk)
        {
            s_domains.Add(stream.Value, domain);
        }

        return stream;
    }

    public static void RemoveStream(this SmmuUnit unit, UnitDevice stream)
    {
        Assert.True(s_domains.TryGetValue(stream, out SmmuDomain? domain));
        unit.RemoveDevice(domain, stream);
    }

    public static OpResult<UnitProcess> CreateProcess(this SmmuUnit unit)
    {
        OpResult<UnitProcess?> process = unit.AllocateProcess();
        return process.IsOk
            ? OpResult<UnitProcess>.Ok(process.Value)
            : OpResult<UnitProcess>.Refuse(process.Outcome);
    }

    public static OpResult Attach(this SmmuDomain domain, SmmuLink link, Pasid pasid, ulong root, bool first) =>
        domain.Attach(pasid, root, link.Process, s_device, first, ref link.Link);

    public static OpResult Detach(this SmmuDomain domain, SmmuLink link, UnitDevice stream, Pasid pasid, bool last)
    {
        Assert.True(link.Link is null || link.Link.Pasid == pasid);
        return domain.Detach(stream, last, ref link.Link);
    }

    public static OpResult Exit(this SmmuDomain domain, SmmuLink link, Pasid pasid)
    {
        Assert.True(link.Link is null || link.Link.Pasid == pasid);
        return domain.Exit(link.Link);
    }

    public static OpResult Invalidate(this SmmuDomain domain, SmmuLink link, Pasid pasid, ulong start, ulong end)
    {
        Assert.True(link.Link is null || link.Link.Pasid == pasid);
        var range = IovaRange.FromStartEnd(start, end);
        return range.IsEmpty ? OpResult.Ok : domain.Invalidate(link.Link, range);
    }
}
