// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using PasidFramework.Conformance.Xunit;
using PasidFramework.Qemu;
using PasidFramework.Qemu.Machine;
using PasidFramework.Records;

namespace PasidFramework.Drivers.Conformance.Tests;

/// <summary>The drivers that come with the tool, and the QEMUs that there are.</summary>
internal static class Bundled
{
    private static readonly List<string> s_problems = [];
    public static PluginCatalog Catalog { get; } = PluginCatalog.Load([Metadata("Plugins")]);
    public static IReadOnlyList<QemuInstallation> Qemus { get; } = QemuInstallation.Find(QemuHome, s_problems);

    public static string QemuHome => Environment.GetEnvironmentVariable("PASID_QEMU_HOME") is { Length: > 0 } home
        ? home
        : Metadata("QemuHome");

    public static string Problems => string.Join("; ", s_problems.DefaultIfEmpty($"nothing in {QemuHome} or on PATH"));

    /// <summary>The model of an architecture, then its QEMUs.</summary>
    public static IReadOnlyList<IHardwareBackEnd> BackEnds(string architecture) =>
    [
        SoftwareBackEnds.OfModel(architecture, Catalog.Models[architecture]),
        .. Qemus.SelectMany(QemuBackEnds.For).Where(b => b.Architecture == architecture).DistinctBy(b => b.Name),
    ];

    private static string Metadata(string key) => typeof(Bundled).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().First(a => a.Key == key).Value!;
}

/// <summary>A bundled driver under the whole catalogue, on its model and on each QEMU.</summary>
public abstract class BundledConformance(string driver) : DriverConformance
{
    private LoadedDriver Loaded { get; } = Bundled.Catalog.Find(driver).Value!;
    private string Format => Loaded.Metadata.TableFormat;
    protected override IReadOnlyList<IHardwareBackEnd> BackEnds => Bundled.BackEnds(Format);
    protected override IReadOnlyDictionary<string, IPageTableFormat> PageTables => Bundled.Catalog.PageTables;
    protected override ITableReader? Reader => Bundled.Catalog.TableReaders[Format];
    protected override IReadOnlyList<Layout> Structures => Loaded.Structures;
    protected override IPasidDriver CreateDriver() => Loaded.Instance;
}
