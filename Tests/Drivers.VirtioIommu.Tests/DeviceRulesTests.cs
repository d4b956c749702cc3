// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>
/// What the standard demands of a device (OASIS virtio 1.2, IOMMU device, "Device operations"), through the real queue.
/// </summary>
public sealed class DeviceRulesTests
{
    private const uint Endpoint = 0x18;

    [Fact]
    public void The_worked_examples_are_carried_out_and_arrive_byte_for_byte()
    {
        using Fixture fixture = Fixture.Start("none");

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, Endpoint, 0));
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Map(1, 0x10000, 0x1ffff, 0x80000000, 3));
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Unmap(1, 0x10000, 0x1ffff));
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Detach(1, Endpoint));

        ConsumedRequest[] log = fixture.TakeLog();
        Assert.Equal(4, log.Length);
        foreach ((ConsumedRequest request, string name) in log.Zip(["attach", "map", "unmap", "detach"]))
        {
            Assert.Equal(Vector.All[name].Bytes[..^4], request.Bytes);
            Assert.Equal((byte)0, request.Status);
        }
    }

    [Theory]
    [InlineData(0), InlineData(6), InlineData(7), InlineData(0x80), InlineData(255)]
    public void An_unknown_type_is_returned_with_length_0_and_an_untouched_buffer(int type)
    {
        using Fixture fixture = Fixture.Start("none");
        byte[] request = [(byte)type, .. new byte[19]];
        ulong tail = fixture.Started.Requests.TailAddress(0);
        fixture.Memory.WriteDword(tail, 0xDDCCBBAA);

        RequestStatus status = fixture.Send(request, 20);

        Assert.Equal(RequestStatus.Unrecognised, status);
        Assert.Null(fixture.TakeLog().Single().Status);
        Assert.Equal(0xDDCCBBAAu, fixture.Memory.ReadDword(tail));
    }

    [Fact]
    public void Used_length_0_is_EOPNOTSUPP_with_a_clear_text()
    {
        using Fixture fixture = Fixture.Start("none");

        OpResult result = fixture.Send(new byte[24], 20).ToResult("FUTURE", 1, "endpoint", Endpoint);

        Refused(Errno.EOPNOTSUPP, "does not know this request", result);
    }

    [Theory]
    [InlineData("attach"), InlineData("detach"), InlineData("map"), InlineData("unmap")]
    public void The_heads_reserved_bytes_are_ignored(string name)
    {
        using Fixture fixture = Fixture.Start("none");
        Prepare(fixture, name);
        byte[] request = [.. Vector.All[name].Bytes];
        request[1] = request[2] = request[3] = 0xFF;

        Assert.Equal(RequestStatus.Ok, fixture.Send(request, request.Length - 4));
    }

    [Theory]
    [InlineData(16), InlineData(19)]
    public void ATTACH_with_a_reserved_byte_is_INVAL_and_attaches_nothing(int offset)
    {
        using Fixture fixture = Fixture.Start("none");
        byte[] request = [.. Vector.All["attach"].Bytes];
        request[offset] = 1;

        Assert.Equal(RequestStatus.Inval, fixture.Send(request, 20));
        Assert.Equal(0, fixture.Hardware.Device.DomainCount);
    }

    [Theory]
    [InlineData(2u), InlineData(0x8000_0000u), InlineData(3u)]
    public void ATTACH_with_an_unknown_flag_is_INVAL(uint flags)
    {
        using Fixture fixture = Fixture.Start("none");

        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Attach(1, Endpoint, flags).Errno);
        Assert.Equal(0, fixture.Hardware.Device.DomainCount);
    }

    [Fact]
    public void ATTACH_with_the_bypass_flag_needs_BYPASS_CONFIG()
    {
        using Fixture standard = Fixture.Start("none");
        using Fixture proposal = Fixture.Start("B");

        Assert.Equal(OpResult.Ok, standard.Started.Standard.Attach(1, Endpoint, 1));
        Assert.Equal(TranslationStatus.Bypassed, Access(standard, 0x1234).Status);
        Assert.Equal(Errno.EINVAL, proposal.Started.Standard.Attach(1, Endpoint, 1).Errno);
    }

    [Fact]
    public void ATTACH_and_DETACH_and_PROBE_of_an_endpoint_that_does_not_exist_are_NOENT()
    {
        using Fixture fixture = Fixture.Start("none", endpoints: "0x18, 0x20");

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, 0x20, 0));
        Assert.Equal(Errno.ENOENT, fixture.Started.Standard.Attach(1, 0x19, 0).Errno);
        Assert.Equal(Errno.ENOENT, fixture.Started.Standard.Detach(1, 0x19).Errno);
        Assert.Equal(Errno.ENOENT, fixture.Started.Probe(0x19).Errno);
    }

    [Theory]
    [InlineData(0u, 1u), InlineData(1u, 0u)]
    public void ATTACH_to_a_domain_with_the_other_bypass_setting_is_INVAL(uint first, uint second)
    {
        using Fixture fixture = Fixture.Start("none");
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, Endpoint, first));

        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Attach(1, 0x20, second).Errno);
    }

    [Fact]
    public void ATTACH_detaches_an_endpoint_from_where_it_was()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Started.Standard.Attach(1, Endpoint, 0);
        fixture.Started.Standard.Attach(1, 0x20, 0);
        fixture.Started.Standard.Map(1, 0, 0xfff, 0x5000, 3);

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(2, Endpoint, 0));

        Assert.Equal(TranslationStatus.Faulted, Access(fixture, 0x10).Status);
        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Detach(1, Endpoint).Errno);
        Assert.Equal(2, fixture.Hardware.Device.DomainCount);
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(2, 0x20, 0));
        Assert.Equal(1, fixture.Hardware.Device.DomainCount);
    }

    [Fact]
    public void A_refused_ATTACH_leaves_the_endpoint_where_it_was()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Started.Standard.Attach(1, Endpoint, 0);
        fixture.Started.Standard.Attach(2, 0x20, 1);
        fixture.Started.Standard.Map(1, 0, 0xfff, 0x5000, 3);

        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Attach(2, Endpoint, 0).Errno);

        Assert.Equal(0x5010UL, Access(fixture, 0x10).Address);
    }

    [Fact]
    public void ATTACH_of_mappings_to_a_domain_with_a_table_is_UNSUPP_and_the_other_way_round()
    {
        using Fixture fixture = Fixture.Start("B");
        fixture.Started.Standard.Attach(1, Endpoint, 0);
        using DomainTable one = fixture.CreateTable(1);
        using DomainTable two = fixture.CreateTable(2);
        Assert.Equal(OpResult.Ok, two.AddEndpoint(0x20));

        Assert.Equal(Errno.EOPNOTSUPP, one.AddEndpoint(0x21).Errno);
        Assert.Equal(Errno.EOPNOTSUPP, fixture.Started.Standard.Attach(2, 0x21, 0).Errno);
        Assert.Equal(OpResult.Ok, two.RemoveEndpoint(0x20));
    }

    [Fact]
    public void DETACH_ignores_reserved_bytes_and_refuses_what_is_not_attached()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Started.Standard.Attach(1, Endpoint, 0);
        byte[] request = [.. Vector.All["detach"].Bytes];
        request[12] = request[19] = 0xFF;

        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Detach(2, Endpoint).Errno);
        Assert.Equal(RequestStatus.Ok, fixture.Send(request, 20));
        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Detach(1, Endpoint).Errno);
    }

    [Theory]
    [InlineData(0x1001UL, 0x1fffUL, 0x5000UL), InlineData(0x1000UL, 0x1ffeUL, 0x5000UL)]
    [InlineData(0x1000UL, 0x2000UL, 0x5000UL), InlineData(0x1000UL, 0x1fffUL, 0x5800UL)]
    public void MAP_that_is_misaligned_is_RANGE(ulong start, ulong last, ulong physical)
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Started.Standard.Attach(1, Endpoint, 0);

        Assert.Equal(Errno.ERANGE, fixture.Started.Standard.Map(1, start, last, physical, 3).Errno);
    }

    [Fact]
    public void MAP_reaches_the_last_byte_of_memory()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Started.Standard.Attach(1, Endpoint, 0);

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Map(1, 0xFFFF_FFFF_FFFF_F000, ulong.MaxValue, 0x5000, 1));
        Assert.Equal(0x5FFFUL, Access(fixture, ulong.MaxValue).Address);
    }

    [Theory]
    [InlineData(0x10000UL, 0x1ffffUL), InlineData(0x1f000UL, 0x20fffUL), InlineData(0x0UL, 0x10fffUL)]
    [InlineData(0x0UL, 0xfffffUL), InlineData(0x12000UL, 0x12fffUL)]
    public void MAP_that_overlaps_is_INVAL_and_the_old_mapping_stays(ulong start, ulong last)
    {
        using Fixture fixture = Fixture.Start("none");
        Prepare(fixture, "unmap");

        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Map(1, start, last, 0x5000000, 3).Errno);
        Assert.Equal(0x80000010UL, Access(fixture, 0x10010).Address);
    }

    [Fact]
    public void MAP_beside_a_mapping_is_fine()
    {
        using Fixture fixture = Fixture.Start("none");
        Prepare(fixture, "unmap");

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Map(1, 0x20000, 0x20fff, 0x1000, 3));
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Map(1, 0xf000, 0xffff, 0x2000, 3));
    }

    [Theory]
    [InlineData("none", 8u, Errno.EINVAL), InlineData("none", 4u, Errno.None), InlineData("B", 4u, Errno.EINVAL)]
    public void MAP_with_an_unknown_flag_is_INVAL_and_MMIO_needs_its_feature(string dialect, uint flags, Errno expected)
    {
        using Fixture fixture = Fixture.Start(dialect);
        fixture.Started.Standard.Attach(1, Endpoint, 0);

        Assert.Equal(expected, fixture.Started.Standard.Map(1, 0, 0xfff, 0x5000, flags).Errno);
    }

    [Fact]
    public void MAP_and_UNMAP_of_an_unknown_domain_are_NOENT_and_of_a_bypass_domain_INVAL()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Started.Standard.Attach(2, Endpoint, 1);

        Assert.Equal(Errno.ENOENT, fixture.Started.Standard.Map(1, 0, 0xfff, 0x5000, 3).Errno);
        Assert.Equal(Errno.ENOENT, fixture.Started.Standard.Unmap(1, 0, 0xfff).Errno);
        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Map(2, 0, 0xfff, 0x5000, 3).Errno);
        Assert.Equal(Errno.EINVAL, fixture.Started.Standard.Unmap(2, 0, 0xfff).Errno);
    }

    [Fact]
    public void UNMAP_with_a_reserved_byte_is_INVAL()
    {
        using Fixture fixture = Fixture.Start("none");
        Prepare(fixture, "unmap");
        byte[] request = [.. Vector.All["unmap"].Bytes];
        request[24] = 1;

        Assert.Equal(RequestStatus.Inval, fixture.Send(request, 28));
        Assert.Equal(TranslationStatus.Translated, Access(fixture, 0x10010).Status);
    }

    [Theory]
    [InlineData(0x10000UL, 0x10fffUL), InlineData(0x1f000UL, 0x1ffffUL), InlineData(0x8000UL, 0x18fffUL)]
    [InlineData(0x0UL, 0x30fffUL)]
    public void UNMAP_that_would_split_is_RANGE_and_removes_nothing(ulong start, ulong last)
    {
        using Fixture fixture = Fixture.Start("none");
        Prepare(fixture, "unmap");
        fixture.Started.Standard.Map(1, 0x30000, 0x31fff, 0x1000, 3);
        fixture.Started.Standard.Map(1, 0x8000, 0x8fff, 0x4000, 3);

        Assert.Equal(Errno.ERANGE, fixture.Started.Standard.Unmap(1, start, last).Errno);

        Assert.Equal(0x80000000UL, Access(fixture, 0x10000).Address);
        Assert.Equal(0x1000UL, Access(fixture, 0x30000).Address);
        Assert.Equal(0x4000UL, Access(fixture, 0x8000).Address);
    }

    [Fact]
    public void UNMAP_over_holes_removes_everything_in_the_range()
    {
        using Fixture fixture = Fixture.Start("none");
        Prepare(fixture, "unmap");
        fixture.Started.Standard.Map(1, 0x30000, 0x30fff, 0x1000, 3);
        fixture.Started.Standard.Map(1, 0x40000, 0x40fff, 0x2000, 3);

        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Unmap(1, 0, 0x3ffff));
        Assert.Equal(OpResult.Ok, fixture.Started.Standard.Unmap(1, 0, 0xfff));

        Assert.Equal(TranslationStatus.Faulted, Access(fixture, 0x10000).Status);
        Assert.Equal(TranslationStatus.Faulted, Access(fixture, 0x30000).Status);
        Assert.Equal(TranslationStatus.Translated, Access(fixture, 0x40000).Status);
    }

    [Theory]
    [InlineData("B", "on", TranslationStatus.Bypassed), InlineData("B", "off", TranslationStatus.Faulted)]
    [InlineData("none", "on", TranslationStatus.Faulted)] // BYPASS_CONFIG: the driver switches it off
    [InlineData("none", "off", TranslationStatus.Faulted), InlineData("E", "on", TranslationStatus.Faulted)]
    public void An_endpoint_without_a_domain_follows_the_bypass_setting(
        string dialect, string bypass, TranslationStatus expected)
    {
        using Fixture fixture = Fixture.Start(dialect, bypass: bypass);

        Assert.Equal(expected, Access(fixture, 0x5000).Status);
    }

    [Fact]
    public void The_bypass_setting_can_be_written_with_BYPASS_CONFIG_only()
    {
        using Fixture standard = Fixture.Start("none");
        using Fixture proposal = Fixture.Start("B");

        standard.Hardware.Write32(MmioRegister.Config + ConfigOffset.Bypass, 1);
        proposal.Hardware.Write32(MmioRegister.Config + ConfigOffset.Bypass, 1);

        Assert.Equal(TranslationStatus.Bypassed, Access(standard, 0).Status);
        Assert.Equal(TranslationStatus.Faulted, Access(proposal, 0).Status);
    }

    [Fact]
    public void A_mapping_allows_only_what_its_flags_say()
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Started.Standard.Attach(1, Endpoint, 0);
        fixture.Started.Standard.Map(1, 0x1000, 0x1fff, 0x5000, 1);

        Assert.Equal(TranslationStatus.Translated, Access(fixture, 0x1234).Status);
        Assert.Equal(TranslationStatus.Faulted, Access(fixture, 0x1234, write: true).Status);
    }

    [Theory]
    [InlineData("fault", 0x7f0012345000UL), InlineData("fault_39_bit", 0x7f12345000UL)]
    public void A_fault_is_reported_in_the_vectors_bytes(string name, ulong address)
    {
        using Fixture fixture = Fixture.Start("none");
        fixture.Started.Standard.Attach(1, Endpoint, 0);

        TranslationResult result = Access(fixture, address, write: true);

        Assert.Equal(TranslationStatus.Faulted, result.Status);
        Assert.Equal((int)FaultReason.Mapping, result.FaultCode);
        ulong buffer =
            BinaryPrimitives.ReadUInt64LittleEndian(ReadBytes(fixture, fixture.Started.Events.Ring.Descriptors, 8));
        Assert.Equal(Vector.All[name].Bytes, ReadBytes(fixture, buffer, 24));
    }

    [Fact]
    public void Faults_are_read_in_order_and_their_buffers_serve_again()
    {
        using Fixture fixture = Fixture.Start("B");

        for (uint i = 0; i < 200; i++)
        {
            fixture.Hardware.Translate(
                new DmaAccess(new RequesterId(i), new Pasid(i + 1), 0x1000 * (ulong)i, i % 2 == 0));
            var read = new FaultRecord[2];
            Assert.Equal(1, fixture.Started.Events.Read(read));
            ulong kind = i % 2 == 0 ? FaultEvent.FlagWrite : FaultEvent.FlagRead;
            ulong head = ((kind | FaultEvent.FlagAddress) << 32) | (ulong)FaultReason.Domain;
            Assert.Equal(new FaultRecord(head, i | ((ulong)(i + 1) << 32), 0x1000 * (ulong)i), read[0]);
        }

        Assert.Equal(0, fixture.Started.Events.Read(new FaultRecord[1]));
        Assert.Equal(0, fixture.Hardware.Device.DroppedEvents);
    }

    [Fact]
    public void Faults_beyond_the_buffers_are_counted_and_do_not_disturb_the_rest()
    {
        using Fixture fixture = Fixture.Start("none");

        for (int i = 0; i < 20; i++)
        {
            Access(fixture, 0x1000 * (ulong)i);
        }

        Assert.Equal(4, fixture.Hardware.Device.DroppedEvents);
        var faults = new List<IommuFault>();
        Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(faults)); // what the device lost nothing tells
        Assert.Equal(16, fixture.Started.Faults);
        Access(fixture, 0x1000);
        Assert.Equal(OpResult.Ok, fixture.Started.TakeFaults(faults));
        Assert.Equal(17, fixture.Started.Faults);
        Assert.Equal(17, faults.Count);
    }

    [Fact]
    public void A_standard_domain_refuses_PASIDs()
    {
        using Fixture fixture = Fixture.Start("none");
        Prepare(fixture, "unmap");

        TranslationResult result =
            fixture.Hardware.Translate(new DmaAccess(new RequesterId(Endpoint), new Pasid(1), 0x10000, false));

        Assert.Equal(TranslationStatus.Faulted, result.Status);
        Assert.Equal((int)FaultReason.Domain, result.FaultCode);
    }

    [Fact]
    public void PROBE_names_the_reserved_region_on_every_device()
    {
        foreach (string dialect in new[] { "none", "B", "E" })
        {
            using Fixture fixture = Fixture.Start(dialect, pasidBits: 10);

            Dialects.EndpointProperties properties = fixture.Started.Probe(Endpoint).Value!;

            Assert.Equal(
                [new Dialects.ReservedRegion(1, DeviceRequests.MsiFirst, DeviceRequests.MsiLast)],
                properties.ReservedRegions);
            Assert.Equal(dialect == "none" ? null : 10, properties.PasidBits);
        }
    }

    [Fact]
    public void PROBE_with_a_reserved_byte_is_INVAL()
    {
        using Fixture fixture = Fixture.Start("none");
        ulong page = fixture.Memory.AllocatePages(4096).Value;
        byte[] request = [.. Vector.All["probe"].Bytes];
        request[71] = 1;
        fixture.Memory.Write(page, request);

        Assert.Equal(
            RequestStatus.Inval,
            fixture.Started.Requests.Send(page, 72, page + 72, DeviceRequests.ProbeBytes + 4));
        fixture.Memory.FreePages(page, 4096);
    }

    [Fact]
    public void A_reset_forgets_domains_and_endpoints()
    {
        using Fixture fixture = Fixture.Start("none");
        Prepare(fixture, "unmap");

        fixture.Hardware.Write32(MmioRegister.Status, 0);

        Assert.Equal(0, fixture.Hardware.Device.DomainCount);
        Assert.Equal(TranslationStatus.Faulted, Access(fixture, 0x10000).Status);
    }

    private static void Prepare(Fixture fixture, string name)
    {
        if (name != "attach")
        {
            Assert.Equal(OpResult.Ok, fixture.Started.Standard.Attach(1, Endpoint, 0));
        }

        if (name == "unmap")
        {
            Assert.Equal(OpResult.Ok, fixture.Started.Standard.Map(1, 0x10000, 0x1ffff, 0x80000000, 3));
        }
    }

    private static TranslationResult Access(Fixture fixture, ulong address, bool write = false) =>
        fixture.Hardware.Translate(new DmaAccess(new RequesterId(Endpoint), null, address, write));

    private static byte[] ReadBytes(Fixture fixture, ulong address, int count)
    {
        var bytes = new byte[count];
        fixture.Memory.Read(address, bytes);
        return bytes;
    }
}
