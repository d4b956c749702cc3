// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>A device that leaves takes nothing with it, whatever its own TLB held.</summary>
public sealed class RemovalTests
{
    private const ulong Page = 0x7f00_1234_5000;

    [Theory]
    [InlineData(false), InlineData(true)]
    public void D5_what_a_device_took_from_its_domains_table_is_gone_when_it_is_added_elsewhere(bool wasBound)
    {
        var memory = new ModelMemory();
        using var model = new SmmuModel(memory, new HardwareSetup());
        using var unit = (SmmuUnit)new SmmuDriver()
            .CreateUnit(new UnitSetup { Name = "smmu0", Hardware = model }).Value!;
        SmmuDomain home = unit.CreateDomain(8).Value!;
        SmmuDomain other = unit.CreateDomain(8).Value!;
        UnitDevice device = unit.AddStream(home, new RequesterId(0xA), ats: true).Value!;
        UnitDevice neighbour = unit.AddStream(home, new RequesterId(0xB), ats: true).Value!;
        UnitProcess process = unit.CreateProcess().Value!;
        IPageTable pages = ArmPageTables.Granule4K.Create(memory).Value!;
        ulong page = memory.AllocatePages(4096).Value;
        Assert.True(pages.Map(Page, page, writable: true).IsOk);
        var link = new SmmuLink(process);
        Assert.True(home.Attach(link, new Pasid(5), pages.Root, first: true).IsOk);
        if (wasBound)
        {
            Assert.True(home.Attach(link, new Pasid(5), pages.Root, first: false).IsOk);
            Assert.True(home.Detach(link, device, new Pasid(5), last: false).IsOk);
        }

        // The table is the domain's: the device may use the neighbour's PASID, and keeps the answer.
        Assert.Equal(page, Access(model).Address);
        Assert.Contains(model.Cached, c => c.Cache == "device-TLB");
        unit.RemoveStream(device);
        Assert.True(unit.AddStream(other, new RequesterId(0xA), ats: true).IsOk);

        Assert.True(home.Exit(link, new Pasid(5)).IsOk);
        Assert.True(home.Detach(link, neighbour, new Pasid(5), last: true).IsOk);
        unit.FreeProcess(process);
        pages.Dispose();
        memory.FreePages(page, 4096);

        Assert.Equal(TranslationStatus.Faulted, Access(model).Status);
        Assert.DoesNotContain(model.Cached, c => c.Cache == "device-TLB");
        Assert.Empty(model.Violations);
    }

    [Fact]
    public void D5_a_device_that_did_not_confirm_its_removal_is_invalidated_again_before_it_is_added_again()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start(20, ("poll-limit", "50"));
        SmmuDomain domain = unit.CreateDomain(8).Value!;
        UnitDevice stream = unit.AddStream(domain, new RequesterId(0xA), ats: true).Value!;
        fixture.Bent.Hold(0x98);
        unit.RemoveStream(stream);
        Assert.Equal(Errno.ETIMEDOUT, unit.AddStream(domain, new RequesterId(0xA), ats: true).Errno);
        Assert.True(domain.Devices.IsEmpty);
        fixture.Bent.Release();
        fixture.TakeLog();

        Assert.True(unit.AddStream(domain, new RequesterId(0xA), ats: true).IsOk);
        string[] log = fixture.TakeLog();
        Assert.Equal(
            [
                "CFGI_STE a leaf=1", "CFGI_CD_ALL a", "SYNC", "ATC_INV a/0 size=52", "ATC_INV a size=52", "SYNC",
                "CFGI_STE a leaf=1", "SYNC",
            ],
            log[^8..]);

        // Confirmed: no third time.
        unit.RemoveStream(domain.Devices[0]);
        Assert.Equal(
            ["CFGI_STE a leaf=1", "SYNC", "CFGI_CD_ALL a", "SYNC", "ATC_INV a/0 size=52", "ATC_INV a size=52", "SYNC"],
            fixture.TakeLog());
        Assert.True(unit.AddStream(domain, new RequesterId(0xA), ats: true).IsOk);
        Assert.DoesNotContain(fixture.TakeLog(), c => c.StartsWith("ATC_INV", StringComparison.Ordinal));
    }

    private static TranslationResult Access(SmmuModel model) =>
        model.Translate(new DmaAccess(new RequesterId(0xA), new Pasid(5), Page, IsWrite: true));
}
