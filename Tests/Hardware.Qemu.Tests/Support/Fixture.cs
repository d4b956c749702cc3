// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;
using PasidFramework.Allocation;
using PasidFramework.DriverKit.PageTables;
using PasidFramework.Drivers.ArmSmmu;
using PasidFramework.Engine;

namespace PasidFramework.Qemu.Tests.Support;

/// <summary>A machine under its driver, in one core.</summary>
internal sealed class Fixture : IDisposable
{
    /// <summary>A page that lies far up, so that every level of a page table is more than its first entry.</summary>
    public const ulong Page = 0x7F12_3456_7000;

    private readonly List<Guest> _guests = [];
    private readonly IPageTableFormat _format;
    private int _domains;

    public Fixture(string name, string architecture, Func<ITestHardware, IIommuHardware>? wrap = null)
    {
        Hardware = Installed.Start(name, architecture);
        OpResult<IIommuUnit> unit = Driver(architecture).CreateUnit(new UnitSetup
        {
            Name = "unit0",
            Hardware = wrap is null ? Hardware : wrap(Hardware),
            Options = Hardware.UnitOptions,
        });
        Assert.True(unit.IsOk, unit.ToString());
        Unit = unit.Value!;
        Core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions()));
        Instance = Core.AddInstance(architecture, Unit);
        _format = Format(Installed.BackEnd(name, architecture).PageTables);
    }

    public ITestHardware Hardware { get; }
    public IIommuUnit Unit { get; }
    public IommuCore Core { get; }
    public IommuInstance Instance { get; }

    public static IPasidDriver Driver(string architecture) => architecture switch
    {
        "intel-vtd" => new VtdDriver(),
        "arm-smmuv3" => new SmmuDriver(),
        _ => new VirtioIommuDriver(),
    };

    public static IPageTableFormat Format(string name) => CpuPageTables.All.Single(format => format.Name == name);

    public Domain NewDomain()
    {
        OpResult<Domain> domain = Core.CreateDomain(Instance, $"domain-{++_domains}", 20);
        Assert.True(domain.IsOk, domain.ToString());
        return domain.Value!;
    }

    /// <summary>Adds a device that carries one number only, and prepares it for that number.</summary>
    public Device Add(Domain domain, RequesterId requester, uint pasid)
    {
        Device device = Add(domain, requester, new PasidRange(pasid, pasid));
        Assert.Equal(OpResult.Ok, Hardware.Prepare(requester, new Pasid(pasid)));
        return device;
    }

    public Device Add(Domain domain, RequesterId requester, PasidRange range)
    {
        OpResult<Device> device = Core.AddDevice(domain, requester.ToString(), requester, range);
        Assert.True(device.IsOk, device.ToString());
        return device.Value!;
    }

    public Guest NewGuest(params ulong[] pages)
    {
        var guest = new Guest(Hardware, _format, 100 + _guests.Count);
        _guests.Add(guest);
        foreach (ulong page in pages.DefaultIfEmpty(Page))
        {
            guest.Map(page);
        }

        return guest;
    }

    public Pasid Bind(Device device, Guest guest)
    {
        OpResult<Pasid> pasid = Core.Bind(device, guest);
        Assert.True(pasid.IsOk, pasid.ToString());
        return pasid.Value;
    }

    public TranslationResult Store(Device device, uint pasid, ulong address = Page) =>
        Hardware.Translate(new DmaAccess(device.Requester, new Pasid(pasid), address, IsWrite: true));

    /// <summary>A store lands in the guest's page and nowhere else.</summary>
    public void Lands(Device device, uint pasid, Guest guest, ulong address = Page)
    {
        Assert.Equal(
            new TranslationResult(
                TranslationStatus.Translated, guest.Target(address & ~0xFFFUL) | (address & 0xFFF), 0, 0, null),
            Store(device, pasid, address));
        Assert.Empty(Hardware.TakeViolations());
    }

    /// <summary>The records that the driver finds.</summary>
    public List<IommuFault> TakeFaults()
    {
        var faults = new List<IommuFault>();
        Assert.Equal(OpResult.Ok, Unit.TakeFaults(faults));
        return faults;
    }

    /// <summary>A store is aborted with a record of one of the codes.</summary>
    public void Faults(Device device, uint pasid, int[] codes, ulong address = Page)
    {
        TranslationResult result = Store(device, pasid, address);
        Assert.Equal(TranslationStatus.Faulted, result.Status);
        Assert.Contains(result.FaultCode, codes);
        Assert.Empty(Hardware.TakeViolations());
    }

    public void Dispose()
    {
        Core.Dispose();
        foreach (Guest guest in _guests)
        {
            guest.Dispose();
        }

        Hardware.Dispose();
    }
}
