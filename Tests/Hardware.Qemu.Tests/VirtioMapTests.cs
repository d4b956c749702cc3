using PasidFramework.Contracts;
using PasidFramework.Engine;
using PasidFramework.Identifiers;
using PasidFramework.Qemu.Tests.Support;
using PasidFramework.Results;

namespace PasidFramework.Qemu.Tests;

/// <summary>The virtio-iommu driver on the standard's MAP and UNMAP: one process a domain.</summary>
public sealed class VirtioMapTests
{
    private const string Architecture = "virtio-iommu";

    // OASIS virtio 1.2 5.13.6.9: 0 UNKNOWN (in no domain), 2 MAPPING.
    private static readonly int[] s_notMapped = [2];
    private static readonly int[] s_notAttached = [0];

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Each_domain_reaches_its_own_process_until_it_is_unbound(string name)
    {
        using var rig = new Rig(name, Architecture);
        ulong[] pages = [0x1000, 0x20_0000, 0x80_0000_0000, Rig.Page];
        Device[] devices = [.. rig.Hardware.Requesters.Select((r, i) => rig.Add(rig.NewDomain(), r, 1 + (uint)i))];
        Guest[] guests = [.. devices.Select(_ => rig.NewGuest(pages))];
        for (int i = 0; i < devices.Length; i++)
        {
            // Taken each time: without a buffer for the next one there is no record.
            rig.Faults(devices[i], 1 + (uint)i, s_notMapped);
            Assert.Equal(devices[i].Requester, Assert.Single(rig.TakeFaults()).Requester);
            Assert.Equal(1 + (uint)i, rig.Bind(devices[i], guests[i]).Value);
        }

        for (int i = 0; i < devices.Length; i++)
        {
            foreach (ulong page in pages)
            {
                rig.Lands(devices[i], 1 + (uint)i, guests[i], page + 0x88);
            }

            Assert.Equal(OpResult.Ok, rig.Core.Unbind(devices[i], new Pasid(1 + (uint)i)));
            foreach (ulong page in pages)
            {
                rig.Faults(devices[i], 1 + (uint)i, s_notMapped, page);
            }

            Assert.Equal(pages.Select(p => (ulong?)p), rig.TakeFaults().Select(f => f.Address));
        }
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void A_process_that_changes_dies_and_is_followed_by_another_one_is_never_reached_at_the_wrong_place(string name)
    {
        using var rig = new Rig(name, Architecture);
        Domain domain = rig.NewDomain();
        RequesterId requester = rig.Hardware.Requesters[0];
        Device device = rig.Add(domain, requester, 40);
        Guest first = rig.NewGuest(Rig.Page, Rig.Page + 0x3000);
        _ = rig.Bind(device, first);

        ulong old = first.Map(Rig.Page);
        first.Unmap(Rig.Page + 0x3000);
        Assert.Equal(OpResult.Ok, rig.Core.Invalidate(first, Rig.Page, Rig.Page + 0x4000));
        rig.Lands(device, 40, first);
        rig.Faults(device, 40, s_notMapped, Rig.Page + 0x3000);
        rig.Hardware.FreeTarget(old);

        first.IsAlive = false;
        rig.Core.ProcessEnded(first);
        rig.Faults(device, 40, s_notMapped);

        Guest second = rig.NewGuest();
        Assert.Equal(40u, rig.Bind(device, second).Value);
        rig.Lands(device, 40, second);

        Assert.Equal(OpResult.Ok, rig.Core.RemoveDevice(device));
        rig.Faults(device, 40, s_notAttached);
        Device moved = rig.Add(rig.NewDomain(), requester, 41);
        Guest third = rig.NewGuest();
        _ = rig.Bind(moved, third);
        rig.Lands(moved, 41, third);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void A_record_names_endpoint_address_and_reason_and_no_PASID(string name)
    {
        using var rig = new Rig(name, Architecture);
        Device device = rig.Add(rig.NewDomain(), rig.Hardware.Requesters[3], 40);
        _ = rig.Bind(device, rig.NewGuest());

        rig.Faults(device, 40, s_notMapped, Rig.Page + 0x1234);
        IommuFault fault = Assert.Single(rig.TakeFaults());

        Assert.Equal(device.Requester, fault.Requester);
        Assert.Equal(Rig.Page + 0x1234, fault.Address);
        Assert.Null(fault.Pasid);
        Assert.Equal(2, fault.Code);
        Assert.Empty(rig.TakeFaults());
    }
}
