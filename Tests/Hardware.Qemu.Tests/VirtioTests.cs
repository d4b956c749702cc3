// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Qemu.Virtio;

namespace PasidFramework.Qemu.Tests;

/// <summary>QEMU's virtio-iommu behind virtio-mmio registers.</summary>
public sealed class VirtioTests
{
    private const ulong Page = 0x12_3456_7000;
    private const int Ok = 0;
    private const int NoEntry = 6;

    // OASIS virtio 1.2 5.13.6.9: reason 0 unknown, 2 mapping; flags 2 write, 100h the address is valid. QEMU says what
    // kind of access it was only where the mapping forbids it.
    private const ulong Unknown = 0;
    private const ulong Mapping = 2;
    private const ulong HasAddress = 0x100;
    private const ulong IsWrite = 2;

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void The_driver_starts_stops_and_starts_again_on_the_standards_features(string name)
    {
        using ITestHardware hardware = Installed.Start(name, "virtio-iommu");
        long before = ((QemuHardware)hardware).Ram.AllocatedBytes;
        Assert.Equal("map", Assert.Contains("dialect", hardware.UnitOptions));

        for (int round = 0; round < 3; round++)
        {
            OpResult<IIommuUnit> unit = new VirtioIommuDriver().CreateUnit(new UnitSetup
            {
                Name = "viommu0",
                Hardware = hardware,
                Options = new Dictionary<string, string> { ["dialect"] = "none" },
            });

            Assert.True(unit.IsOk, unit.ToString());
            Assert.Equal(0, unit.Value!.PasidBits);
            Assert.Equal(0xFu, hardware.Registers.Read32(0x70));
            unit.Value.Dispose();
            Assert.Equal(0u, hardware.Registers.Read32(0x70));
            Assert.Equal(before, ((QemuHardware)hardware).Ram.AllocatedBytes);
        }
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void What_is_mapped_in_a_devices_domain_is_what_it_reaches(string name)
    {
        using ITestHardware hardware = Installed.Start(name, "virtio-iommu");
        var virtio = new HandMadeVirtio(hardware);
        RequesterId[] devices = [.. hardware.Requesters.Take(3)];
        ulong[] targets = [.. devices.Select(_ => hardware.AllocateTarget().Value)];
        for (int i = 0; i < devices.Length; i++)
        {
            Assert.Equal(OpResult.Ok, hardware.Prepare(devices[i], new Pasid(40 + (uint)i)));
            AssertFault(hardware, virtio, devices[i], i, Unknown);
            Assert.Equal(Ok, Attach(virtio, devices[i], i));
            AssertFault(hardware, virtio, devices[i], i, Mapping);
            Assert.Equal(Ok, Map(virtio, i, Page, targets[i], flags: 3));
        }

        // READ only.
        Assert.Equal(Ok, Map(virtio, 0, Page + 0x4000, targets[0], flags: 1));
        AssertFault(hardware, virtio, devices[0], 0, Mapping, Page + 0x4000, HasAddress | IsWrite);

        for (int i = 0; i < devices.Length; i++)
        {
            Assert.Equal(
                new TranslationResult(TranslationStatus.Translated, targets[i] | 0x44, 0, 0, null),
                Store(hardware, devices[i], i, Page | 0x44));
            AssertFault(hardware, virtio, devices[i], i, Mapping, Page + 0x1000);
        }

        Assert.Equal(Ok, virtio.Send(
            Structure.Virtio("unmap", ("domain", 2), ("virt_start", Page), ("virt_end", Page | 0xFFF)), 28));
        AssertFault(hardware, virtio, devices[1], 1, Mapping);
        Assert.Equal(Ok, virtio.Send(Structure.Virtio("detach", ("domain", 3), ("endpoint", devices[2].Value)), 20));
        AssertFault(hardware, virtio, devices[2], 2, Unknown);
        Assert.Equal(targets[0], Store(hardware, devices[0], 0, Page).Address);
        Assert.Empty(virtio.TakeEvent());
        Assert.Empty(hardware.TakeViolations());
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void PROBE_names_the_window_of_message_signalled_interrupts_and_refuses_strangers(string name)
    {
        using ITestHardware hardware = Installed.Start(name, "virtio-iommu");
        var virtio = new HandMadeVirtio(hardware);
        int bytes = (int)hardware.Registers.Read32(0x100 + 32);

        Assert.Equal(0x77u, virtio.Offered & 0xFF);
        Assert.Equal(0ul, hardware.Registers.Read64(0x100 + 8));
        Assert.Equal((1ul << 48) - 1, hardware.Registers.Read64(0x100 + 16));
        Assert.Equal(512, bytes);
        Assert.Equal(Ok,
            virtio.Send(Structure.Virtio("probe_head", ("endpoint", hardware.Requesters[0].Value)), 72, bytes + 4));
        byte[] answer = virtio.Answer(bytes);

        // RESV_MEM is type 1; subtype 1 is MSI, which begins at FEE00000h.
        Assert.Equal(1, answer[0] | (answer[1] << 8));
        Assert.Equal(1, answer[4]);
        Assert.Equal(0xFEE0_0000u, BitConverter.ToUInt64(answer, 8));
        Assert.Equal(NoEntry, virtio.Send(Structure.Virtio("probe_head", ("endpoint", 0x1234)), 72, bytes + 4));
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Records_stay_for_the_driver_and_without_a_buffer_there_is_none(string name)
    {
        using ITestHardware hardware = Installed.Start(name, "virtio-iommu");
        var virtio = new HandMadeVirtio(hardware);
        RequesterId device = hardware.Requesters[0];
        Assert.Equal(OpResult.Ok, hardware.Prepare(device, new Pasid(40)));

        for (int i = 0; i < HandMadeVirtio.EventSize; i++)
        {
            Assert.Equal(TranslationStatus.Faulted, Store(hardware, device, 0, Page + ((ulong)i << 12)).Status);
        }

        Assert.Equal(TranslationStatus.AbortedQuietly, Store(hardware, device, 0, Page).Status);
        for (int i = 0; i < HandMadeVirtio.EventSize; i++)
        {
            Assert.Equal(Page + ((ulong)i << 12), virtio.TakeEvent()[2]);
        }

        Assert.Empty(virtio.TakeEvent());
        AssertFault(hardware, virtio, device, 0, Unknown);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void A_device_has_one_PASID_until_it_is_attached_anew(string name)
    {
        using ITestHardware hardware = Installed.Start(name, "virtio-iommu");
        var virtio = new HandMadeVirtio(hardware);
        RequesterId device = hardware.Requesters[0];
        Assert.Equal(OpResult.Ok, hardware.Prepare(device, new Pasid(1)));
        Assert.Equal(OpResult.Ok, hardware.Prepare(device, new Pasid(40)));
        Assert.False(hardware.NamesPasid(device, new Pasid(40)));
        Assert.Equal(Ok, Attach(virtio, device, 0));
        AssertFault(hardware, virtio, device, 0, Mapping);

        Assert.Equal(Errno.EOPNOTSUPP, hardware.Prepare(device, new Pasid(41)).Errno);
        Assert.Equal(OpResult.Ok, hardware.Prepare(device, new Pasid(40)));
        Assert.Equal(Ok, virtio.Send(Structure.Virtio("detach", ("domain", 1), ("endpoint", device.Value)), 20));
        Assert.Equal(OpResult.Ok, hardware.Prepare(device, new Pasid(41)));
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Devices_without_a_driver_reach_nothing(string name)
    {
        using VirtioQemu hardware = VirtioQemu.Start(Installed.Get(name), 3);
        ulong page = hardware.Ram.AllocatePages(4096).Value;
        Assert.Equal(OpResult.Ok, hardware.Prepare(hardware.Requesters[0], new Pasid(40)));

        Assert.Equal(TranslationStatus.AbortedQuietly, Store(hardware, hardware.Requesters[0], 0, page).Status);
    }

    private static int Attach(HandMadeVirtio virtio, RequesterId device, int index) => virtio.Send(
        Structure.Virtio("attach", ("domain", 1 + (ulong)index), ("endpoint", device.Value)), 20);

    private static int Map(HandMadeVirtio virtio, int index, ulong page, ulong target, ulong flags) => virtio.Send(
        Structure.Virtio(
            "map",
            ("domain", 1 + (ulong)index),
            ("virt_start", page),
            ("virt_end", page | 0xFFF),
            ("phys_start", target),
            ("flags", flags)),
        36);

    private static TranslationResult Store(ITestHardware hardware, RequesterId device, int index, ulong address) =>
        hardware.Translate(new DmaAccess(device, new Pasid(40 + (uint)index), address, IsWrite: true));

    private static void AssertFault(
        ITestHardware hardware,
        HandMadeVirtio virtio,
        RequesterId device,
        int index,
        ulong reason,
        ulong address = Page,
        ulong flags = HasAddress)
    {
        TranslationResult result = Store(hardware, device, index, address);
        Assert.Equal((TranslationStatus.Faulted, (int)reason), (result.Status, result.FaultCode));
        ulong[] words = virtio.TakeEvent();
        Assert.Equal(((QemuHardware)hardware).LastFault, words);
        Assert.Equal(reason, words[0] & 0xFF);
        Assert.Equal(flags, words[0] >> 32);
        Assert.Equal(device.Value, (uint)words[1]);
        Assert.Equal(address, words[2]);
        Assert.Empty(virtio.TakeEvent());
    }
}
