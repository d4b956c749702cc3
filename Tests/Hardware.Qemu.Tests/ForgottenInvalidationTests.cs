// SPDX-License-Identifier: Apache-2.0

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
        using var fixture =
            new Fixture(name, architecture, hardware => dropping = Dropping(hardware, architecture, IsOfTlb));
        (Device device, Guest guest) = Bound(fixture);
        ulong old = guest.Map(Fixture.Page);

        dropping!.IsOn = true;
        Assert.Equal(OpResult.Ok, fixture.Core.Invalidate(guest, Fixture.Page, Fixture.Page + 0x1000));
        TranslationResult result = fixture.Store(device, 9);

        Assert.NotEqual(0, dropping.Dropped);
        Assert.Equal(Keeps(fixture) ? old : guest.Target(Fixture.Page), result.Address);
        dropping.IsOn = false;
        Assert.Equal(OpResult.Ok, fixture.Core.Invalidate(guest, Fixture.Page, Fixture.Page + 0x1000));
        fixture.Lands(device, 9, guest);
        fixture.Hardware.FreeTarget(old);
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void At_an_unbind_before_the_PASID_is_used_again(string name, string architecture)
    {
        bool isVtd = architecture == "intel-vtd";
        DroppingHardware? dropping = null;
        using var fixture = new Fixture(name, architecture, hardware => dropping = Dropping(
            hardware, architecture, word => isVtd ? IsOfTlb(word, true) : (word & 0xFF) == CfgiCd));
        (Device device, Guest guest) = Bound(fixture);
        Guest next = fixture.NewGuest();

        dropping!.IsOn = true;
        Assert.Equal(OpResult.Ok, fixture.Core.Unbind(device, new Pasid(9)));
        _ = fixture.Bind(device, next);
        TranslationResult result = fixture.Store(device, 9);

        Assert.NotEqual(0, dropping.Dropped);

        // Where it shows it is the memory of the process that had the number before.
        Assert.Equal((Keeps(fixture) ? guest : next).Target(Fixture.Page), result.Address);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Of_the_PASID_cache_alone_does_not_show_and_the_limits_say_so(string name)
    {
        DroppingHardware? dropping = null;
        using var fixture = new Fixture(name, "intel-vtd", hardware => dropping = new DroppingHardware(
            hardware, isVtd: true, word => (word & 0xF) == PasidCache));
        (Device device, _) = Bound(fixture);

        dropping!.IsOn = true;
        Assert.Equal(OpResult.Ok, fixture.Core.Unbind(device, new Pasid(9)));

        Assert.NotEqual(0, dropping.Dropped);
        fixture.Faults(device, 9, Codes.NoEntry("intel-vtd"));
        Assert.Contains("invalidation", Installed.BackEnd(name, "intel-vtd").Limits, StringComparison.Ordinal);
        Assert.Equal(TestHardwareTraits.None, fixture.Hardware.Traits & TestHardwareTraits.KeepsConfiguration);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Emptied_caches_hide_it(string name)
    {
        using var fixture = new Fixture(name, "intel-vtd");
        (Device device, Guest guest) = Bound(fixture);
        ulong old = guest.Map(Fixture.Page);

        fixture.Hardware.DropCaches();

        fixture.Lands(device, 9, guest);
        fixture.Hardware.FreeTarget(old);
    }

    private static (Device Device, Guest Guest) Bound(Fixture fixture)
    {
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[0], 9);
        Guest guest = fixture.NewGuest();
        _ = fixture.Bind(device, guest);
        fixture.Lands(device, 9, guest);
        return (device, guest);
    }

    private static bool Keeps(Fixture fixture) => (fixture.Hardware.Traits & TestHardwareTraits.KeepsTranslations) != 0;

    private static DroppingHardware Dropping(ITestHardware hardware, string architecture,
        Func<ulong, bool, bool> isDropped) =>
        Dropping(hardware, architecture, word => isDropped(word, architecture == "intel-vtd"));

    private static DroppingHardware Dropping(ITestHardware hardware, string architecture,
        Func<ulong, bool> isDropped) =>
        new(hardware, architecture == "intel-vtd", isDropped);

    // VT-d D51397-018 6.5.2: IOTLB 2, PASID-based IOTLB 6. Arm IHI 0070 4.4: TLBI commands are 10h to 3Fh.
    private static bool IsOfTlb(ulong word, bool isVtd) =>
        isVtd ? (word & 0xF) is 2 or PasidIotlb : (word & 0xFF) is >= 0x10 and < 0x40;
}
