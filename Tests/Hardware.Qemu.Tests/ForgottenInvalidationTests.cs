using PasidFramework.Contracts;
using PasidFramework.Engine;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.ModelHarness;
using PasidFramework.Qemu.Tests.Support;
using PasidFramework.Results;

namespace PasidFramework.Qemu.Tests;

/// <summary>
/// A driver that forgets one invalidation is caught where QEMU caches, and where it does not the back end's traits and
/// limits say so (D5, D6).
/// </summary>
public sealed class ForgottenInvalidationTests
{
    private const int PasidIotlb = 6;
    private const int PasidCache = 7;
    private const int CfgiCd = 5;

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Of_translations_after_a_remap(string name, string architecture)
    {
        DroppingHardware? dropping = null;
        using var rig = new Rig(name, architecture, hardware => dropping = Dropping(hardware, architecture, IsOfTlb));
        (Device device, Guest guest) = Bound(rig);
        ulong old = guest.Map(Rig.Page);

        dropping!.IsOn = true;
        Assert.Equal(OpResult.Ok, rig.Core.Invalidate(guest, Rig.Page, Rig.Page + 0x1000));
        TranslationResult result = rig.Store(device, 9);

        Assert.NotEqual(0, dropping.Dropped);
        Assert.Equal(Keeps(rig) ? old : guest.Target(Rig.Page), result.Address);
        dropping.IsOn = false;
        Assert.Equal(OpResult.Ok, rig.Core.Invalidate(guest, Rig.Page, Rig.Page + 0x1000));
        rig.Lands(device, 9, guest);
        rig.Hardware.FreeTarget(old);
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void At_an_unbind_before_the_number_is_used_again(string name, string architecture)
    {
        bool isVtd = architecture == "intel-vtd";
        DroppingHardware? dropping = null;
        using var rig = new Rig(name, architecture, hardware => dropping = Dropping(
            hardware, architecture, word => isVtd ? IsOfTlb(word, true) : (word & 0xFF) == CfgiCd));
        (Device device, Guest guest) = Bound(rig);
        Guest next = rig.NewGuest();

        dropping!.IsOn = true;
        Assert.Equal(OpResult.Ok, rig.Core.Unbind(device, new Pasid(9)));
        _ = rig.Bind(device, next);
        TranslationResult result = rig.Store(device, 9);

        Assert.NotEqual(0, dropping.Dropped);

        // Where it shows it is the memory of the process that had the number before.
        Assert.Equal((Keeps(rig) ? guest : next).Target(Rig.Page), result.Address);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Of_the_PASID_cache_alone_does_not_show_and_the_limits_say_so(string name)
    {
        DroppingHardware? dropping = null;
        using var rig = new Rig(name, "intel-vtd", hardware => dropping = new DroppingHardware(
            hardware, isVtd: true, word => (word & 0xF) == PasidCache));
        (Device device, _) = Bound(rig);

        dropping!.IsOn = true;
        Assert.Equal(OpResult.Ok, rig.Core.Unbind(device, new Pasid(9)));

        Assert.NotEqual(0, dropping.Dropped);
        rig.Faults(device, 9, Codes.NoEntry("intel-vtd"));
        Assert.Contains("invalidation", Installed.BackEnd(name, "intel-vtd").Limits, StringComparison.Ordinal);
        Assert.Equal(TestHardwareTraits.None, rig.Hardware.Traits & TestHardwareTraits.KeepsConfiguration);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Emptied_caches_hide_it(string name)
    {
        using var rig = new Rig(name, "intel-vtd");
        (Device device, Guest guest) = Bound(rig);
        ulong old = guest.Map(Rig.Page);

        rig.Hardware.DropCaches();

        rig.Lands(device, 9, guest);
        rig.Hardware.FreeTarget(old);
    }

    private static (Device Device, Guest Guest) Bound(Rig rig)
    {
        Device device = rig.Add(rig.NewDomain(), rig.Hardware.Requesters[0], 9);
        Guest guest = rig.NewGuest();
        _ = rig.Bind(device, guest);
        rig.Lands(device, 9, guest);
        return (device, guest);
    }

    private static bool Keeps(Rig rig) => (rig.Hardware.Traits & TestHardwareTraits.KeepsTranslations) != 0;

    private static DroppingHardware Dropping(ITestHardware hardware, string architecture, Func<ulong, bool, bool> isDropped) =>
        Dropping(hardware, architecture, word => isDropped(word, architecture == "intel-vtd"));

    private static DroppingHardware Dropping(ITestHardware hardware, string architecture, Func<ulong, bool> isDropped) =>
        new(hardware, architecture == "intel-vtd", isDropped);

    // VT-d D51397-018 6.5.2: IOTLB 2, PASID-based IOTLB 6. Arm IHI 0070 4.4: TLBI commands are 10h to 3Fh.
    private static bool IsOfTlb(ulong word, bool isVtd) =>
        isVtd ? (word & 0xF) is 2 or PasidIotlb : (word & 0xFF) is >= 0x10 and < 0x40;
}
