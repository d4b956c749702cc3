// SPDX-License-Identifier: Apache-2.0
using System.Composition.Hosting;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The names that users and their scripts rely on.</summary>
public sealed class StructureListTests
{
    [Fact]
    public void The_structures_are_exactly_the_expected_ones() =>
        Assert.Equal(
            Expected().Select(e => e.Id).Order(StringComparer.Ordinal),
            ArmSmmuLayouts.All.Select(l => l.Id).Order(StringComparer.Ordinal));

    [Fact]
    public void Every_structure_has_the_expected_size_and_exactly_the_expected_field_names()
    {
        Dictionary<string, Layout> layouts = ArmSmmuLayouts.All.ToDictionary(l => l.Id, StringComparer.Ordinal);

        foreach ((string id, int bits, string[] fields) in Expected())
        {
            Layout layout = layouts[id];
            Assert.True(bits == layout.Bits, $"{id} has {layout.Bits} bits, expected {bits}");
            Assert.Equal(
                $"{id}: {string.Join(", ", fields.Order(StringComparer.Ordinal))}",
                $"{id}: {string.Join(", ", Names(layout).Order(StringComparer.Ordinal))}");
        }
    }

    [Fact]
    public void Every_field_of_every_structure_is_not_0_in_at_least_one_vector()
    {
        HashSet<string> covered =
        [.. Vector.All.SelectMany(v => v.Fields.Where(f => f.Value != 0).Select(f => $"{v.Structure}.{f.Field}"))];
        HashSet<string> structures = [.. Vector.All.Select(v => $"arm-smmuv3/{v.Structure}")];

        string[] withoutVector = [.. Expected().Select(e => e.Id).Where(id => !structures.Contains(id))];
        string[] uncovered =
        [
            .. Expected()
                .SelectMany(e => e.Fields.Select(f => $"{e.Id["arm-smmuv3/".Length..]}.{f}"))
                .Where(name => !covered.Contains(name)),
        ];

        Assert.Equal([], withoutVector);
        Assert.Equal([], uncovered);
    }

    [Fact]
    public void Vector_names_are_unique() =>
        Assert.Equal(Vector.All.Count, Vector.All.Select(v => v.Name).Distinct(StringComparer.Ordinal).Count());

    [Fact]
    public void A_host_finds_the_structures_by_composition()
    {
        using CompositionHost host =
            new ContainerConfiguration().WithAssembly(typeof(SmmuDriver).Assembly).CreateContainer();

        Lazy<IStructureProvider, ProviderMetadata> export =
            Assert.Single(host.GetExports<Lazy<IStructureProvider, ProviderMetadata>>());

        Assert.Equal("arm-smmuv3", export.Metadata.Name);
        Assert.Equal(ArmSmmuLayouts.All, export.Value.Layouts);
        Assert.All(
            export.Value.Layouts,
            l => Assert.True(new StructureCatalog(export.Value.Layouts).TryFind(l.Id, out _)));
    }

    private static IEnumerable<string> Names(Layout layout) =>
        layout.Fields.Where(f => f.IsNamed).Select(f => f.Mnemonic);

    private static IEnumerable<(string Id, int Bits, string[] Fields)> Expected()
    {
        foreach (string line in VectorFile.Lines("structures.txt"))
        {
            string[] parts = line.Split('|', StringSplitOptions.TrimEntries);
            Assert.Equal(4, parts.Length);
            const StringSplitOptions Clean = StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries;
            yield return (
                $"arm-smmuv3/{parts[0]}",
                int.Parse(parts[1], CultureInfo.InvariantCulture),
                [.. parts[2].Split(',', Clean), .. parts[3].Split(',', Clean)]);
        }
    }

    /// <summary>What the export says about itself.</summary>
    public sealed class ProviderMetadata
    {
        public string Name { get; set; } = "";
    }
}
