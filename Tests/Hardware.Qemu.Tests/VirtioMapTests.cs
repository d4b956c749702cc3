// SPDX-License-Identifier: Apache-2.0

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
        using var fixture = new Fixture(name, Architecture);
        ulong[] pages = [0x1000, 0x20_0000, 0x80_0000_0000, Fixture.Page];
        Device[] devices =
            [.. fixture.Hardware.Requesters.Select((r, i) => fixture.Add(fixture.NewDomain(), r, 1 + (uint)i))];
        Guest[] guests = [.. devices.Select(_ => fixture.NewGuest(pages))];
        for (int i = 0; i < devices.Length; i++)
        {
            // Taken each time: without a buffer for the next one there is no record.
            fixture.Faults(devices[i], 1 + (uint)i, s_notMapped);
            Assert.Equal(devices[i].Requester, Assert.Single(fixture.TakeFaults()).Requester);
            Assert.Equal(1 + (uint)i, fixture.Bind(devices[i], guests[i]).Value);
        }

        for (int i = 0; i < devices.Length; i++)
        {
            foreach (ulong page in pages)
            {
                fixture.Lands(devices[i], 1 + (uint)i, guests[i], page + 0x88);
            }

            Assert.Equal(OpResult.Ok, fixture.Core.Unbind(devices[i], new Pasid(1 + (uint)i)));
            foreach (ulong page in pages)
            {
                fixture.Faults(devices[i], 1 + (uint)i, s_notMapped, page);
            }

            Assert.Equal(pages.Select(p => (ulong?)p), fixture.TakeFaults().Select(f => f.Address));
        }
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void A_process_that_changes_dies_and_is_followed_by_another_one_is_never_reached_at_the_wrong_place(
        string name)
    {
        using var fixture = new Fixture(name, Architecture);
        Domain domain = fixture.NewDomain();
        RequesterId requester = fixture.Hardware.Requesters[0];
        Device device = fixture.Add(domain, requester, 40);
        Guest first = fixture.NewGuest(Fixture.Page, Fixture.Page + 0x3000);
        _ = fixture.Bind(device, first);

        ulong old = first.Map(Fixture.Page);
        first.Unmap(Fixture.Page + 0x3000);
        Assert.Equal(OpResult.Ok, fixture.Core.Invalidate(first, Fixture.Page, Fixture.Page + 0x4000));
        fixture.Lands(device, 40, first);
        fixture.Faults(device, 40, s_notMapped, Fixture.Page + 0x3000);
        fixture.Hardware.FreeTarget(old);

        first.IsAlive = false;
        fixture.Core.ProcessEnded(first);
        fixture.Faults(device, 40, s_notMapped);

        Guest second = fixture.NewGuest();
        Assert.Equal(40u, fixture.Bind(device, second).Value);
        fixture.Lands(device, 40, second);

        Assert.Equal(OpResult.Ok, fixture.Core.RemoveDevice(device));
        fixture.Faults(device, 40, s_notAttached);
        Device moved = fixture.Add(fixture.NewDomain(), requester, 41);
        Guest third = fixture.NewGuest();
        _ = fixture.Bind(moved, third);
        fixture.Lands(moved, 41, third);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void A_record_names_endpoint_address_and_reason_and_no_PASID(string name)
    {
        using var fixture = new Fixture(name, Architecture);
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[3], 40);
        _ = fixture.Bind(device, fixture.NewGuest());

        fixture.Faults(device, 40, s_notMapped, Fixture.Page + 0x1234);
        IommuFault fault = Assert.Single(fixture.TakeFaults());

        Assert.Equal(device.Requester, fault.Requester);
        Assert.Equal(Fixture.Page + 0x1234, fault.Address);
        Assert.Null(fault.Pasid);
        Assert.Equal(2, fault.Code);
        Assert.Empty(fixture.TakeFaults());
    }
}
