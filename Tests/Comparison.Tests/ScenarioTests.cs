// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Tests;

public class ScenarioTests
{
    private static string Base => File.ReadAllText(Path.Combine(TestData.Vectors, "scenarios", "base.json"));

    public static TheoryData<string, string, string, string> Errors()
    {
        var data = new TheoryData<string, string, string, string>();
        foreach (string line in File.ReadLines(Path.Combine(TestData.Vectors, "scenarios", "errors.txt")))
        {
            if (line.Length > 0 && line[0] != '#')
            {
                string[] parts = line.Split(" | ", 4);
                data.Add(parts[0], parts[1], parts[2], parts[3]);
            }
        }

        return data;
    }

    [Fact]
    public void A_scenario_is_read_as_it_stands()
    {
        Scenario scenario = TestData.ReadScenario(Base);

        Assert.Equal("base", scenario.Name);
        Assert.Equal(4, scenario.Tenants);
        Assert.Equal(["fake", "other"], scenario.Instances.Select(i => i.Driver));
        Assert.False(scenario.Instances[1].IsCoherent);
        Assert.Equal(["depth=7", "fast=true"], scenario.Instances[1].Options.Select(o => $"{o.Key}={o.Value}").Order());
        Assert.Equal(["wide", "shared", "ranged"], scenario.Devices.Select(d => d.Domain));
        Assert.Equal(new PasidRange(0, 255), scenario.Devices[1].Range);
        Assert.Equal(new PasidRange(16, 31), scenario.Devices[2].Range);
        Assert.Equal(DeviceFeatures.Ats, scenario.Devices[0].Features);
        Assert.Equal([10, 11, 12], scenario.Devices.Select(d => d.Line));
        Assert.Equal([LifeBegin.Exec], scenario.Rules[0].Began);
        Assert.Equal(5, scenario.Rules[1].HoldMicroseconds);
        Assert.Equal("rule2", scenario.Rules[1].Name);
    }

    [Theory]
    [MemberData(nameof(Errors))]
    public void A_mistake_is_named_with_file_line_path_value_and_limit(string name, string find, string replace,
        string error)
    {
        int at = Base.IndexOf(find, StringComparison.Ordinal);
        Assert.True(at >= 0, $"{name}: '{find}' is not in base.json");
        string json = Base[..at] + replace + Base[(at + find.Length)..];

        InputResult<Scenario> result = ScenarioReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(json)), "s.json");

        Assert.False(result.IsOk);
        Assert.StartsWith(error, result.Error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain('\n', result.Error.ToString());
    }

    [Fact]
    public void A_scenario_cut_at_any_byte_is_refused_without_an_exception()
    {
        byte[] whole = Encoding.UTF8.GetBytes(Base.TrimEnd());
        for (int length = 0; length < whole.Length; length++)
        {
            Assert.False(ScenarioReader.Read(new MemoryStream(whole[..length]), "s.json").IsOk, $"cut at {length}");
        }
    }

    [Fact]
    public void The_bundled_scenario_has_all_three_drivers_and_four_widths()
    {
        using FileStream stream = File.OpenRead(TestData.BundledScenario);
        Scenario scenario = TestData.Require(ScenarioReader.Read(stream, TestData.BundledScenario));

        Assert.Equal(["arm-smmu", "intel-vtd", "virtio-iommu"], scenario.Instances.Select(i => i.Driver).Order());
        Assert.Equal([255u, 1023u, 65535u, 1048575u], scenario.Devices.Select(d => d.Range.Last).Distinct().Order());
        Assert.Contains(scenario.Devices.GroupBy(d => (d.Instance, d.Domain)), g => g.Count() > 1);
        Assert.Contains(scenario.Devices, d => d.Features == (DeviceFeatures.Ats | DeviceFeatures.Pri));
        Assert.Contains(scenario.Devices, d => d.Features == DeviceFeatures.None);
    }

    [Theory]
    [InlineData("*", "", true), InlineData("", "", true), InlineData("", "a", false), InlineData("a*", "abc", true)]
    [InlineData("*c", "abc", true), InlineData("a?c", "abc", true), InlineData("a?c", "ac", false)]
    [InlineData("*b*b*", "abxb", true), InlineData("*ab", "aab", true)]
    [InlineData("qemu-system-*", "qemu-system-x86_64", true), InlineData("Qemu*", "qemu", false)]
    [InlineData("a\\*", "a\\b", true), InlineData("a\\*", "ab", false)]
    public void Globs_match_whole_names(string pattern, string name, bool expected) =>
        Assert.Equal(expected, Glob.IsMatch(pattern, name));

    [Fact]
    public void Draws_depend_on_seed_text_and_number_and_spread_evenly()
    {
        Assert.Equal(StableHash.Of(1, "a", 2), StableHash.Of(1, "a", 2));
        Assert.NotEqual(StableHash.Of(1, "a", 2), StableHash.Of(2, "a", 2));
        Assert.NotEqual(StableHash.Of(1, "a", 2), StableHash.Of(1, "b", 2));

        int below = Enumerable.Range(0, 10_000).Count(i => StableHash.Fraction(7, "rule", (ulong)i) < 0.25);

        Assert.InRange(below, 2300, 2700);
    }
}
