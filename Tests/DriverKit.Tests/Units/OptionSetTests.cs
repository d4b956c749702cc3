// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Units;

public class OptionSetTests
{
    private static readonly Option<int> s_size = Option.Number("event-queue-log2", 1, 19, 7);
    private static readonly Option<bool> s_ats = Option.Flag("ats", true);
    private static readonly Option<string> s_pages = Option.Choice("pages", "x86-64", "x86-64", "arm-lpae-4k");
    private static readonly OptionSet s_options = new("fake", s_size, s_ats, s_pages);

    [Fact]
    public void What_is_not_set_has_its_standard_value()
    {
        OptionValues values = s_options.Read(Setup()).Value!;
        Assert.Equal((7, true, "x86-64"), (values.Get(s_size), values.Get(s_ats), values.Get(s_pages)));
        Assert.False(values.IsSet(s_pages));
    }

    [Fact]
    public void What_is_set_is_read()
    {
        OptionValues values = s_options.Read(Setup(
            ("event-queue-log2", "19"), ("ats", "off"), ("pages", "arm-lpae-4k"))).Value!;
        Assert.Equal((19, false, "arm-lpae-4k"), (values.Get(s_size), values.Get(s_ats), values.Get(s_pages)));
        Assert.True(values.IsSet(s_pages));
    }

    [Theory]
    [InlineData("event-queue-log2", "0", "option event-queue-log2 is '0', it must be a number from 1 to 19")]
    [InlineData("event-queue-log2", "20", "a number from 1 to 19")]
    [InlineData("event-queue-log2", "+3", "a number from 1 to 19"), InlineData("ats", "yes", "it must be 0 or 1")]
    [InlineData("pages", "X86-64", "it must be one of x86-64, arm-lpae-4k")]
    [InlineData("evtq", "3", "fake has no option 'evtq'; it has event-queue-log2, ats, pages")]
    public void A_mistake_is_refused_with_what_is_allowed(string name, string value, string expected)
    {
        Refused(Errno.EINVAL, expected, s_options.Read(Setup((name, value))));
        var hardware = new HardwareSetup { Options = new Dictionary<string, string> { [name] = value } };
        ArgumentException thrown = Assert.Throws<ArgumentException>(() => s_options.Read(hardware));
        Assert.Contains(expected, thrown.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1, false, false), InlineData(0, false, true), InlineData(1, true, true), InlineData(20, true, true)]
    [InlineData(21, false, false)]
    public void A_unit_has_1_to_20_PASID_bits_and_hardware_0_to_20(int bits, bool unit, bool hardware)
    {
        Assert.Equal(unit, s_options.Read(Setup() with { PasidBits = bits }).IsOk);
        var setup = new HardwareSetup { PasidBits = bits };
        Assert.Equal(hardware ? null : typeof(ArgumentException),
            Record.Exception(() => s_options.Read(setup))?.GetType());
    }

    private static UnitSetup Setup(params (string Name, string Value)[] options) => new()
    {
        Name = "unit0",
        Hardware = new CommandPort(),
        Options = options.ToDictionary(o => o.Name, o => o.Value),
    };
}
