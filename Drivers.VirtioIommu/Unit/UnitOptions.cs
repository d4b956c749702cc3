// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>The settings of a unit (<see cref="UnitSetup.Options"/>).</summary>
/// <param name="Dialect">The proposal that is spoken if the device offers it; null for the standard alone.</param>
/// <param name="ProbeEndpoint">The endpoint that is asked for the PASID width when the unit starts.</param>
/// <param name="PageTables">With dialect <c>map</c>, the format of the processes' page tables; else null.</param>
internal sealed record UnitOptions(TableDialect? Dialect, uint ProbeEndpoint, string? PageTables)
{
    public const string X86 = "x86-64";
    public const string Arm = "arm-lpae-4k";
    private const string Map = "map";

    private static readonly Option<string> s_dialect = Option.Choice(
        "dialect", V09Dialect.Instance.Name, TableDialect.Words(Map));
    private static readonly Option<string> s_pages = Option.Choice("pages", X86, X86, Arm);
    private static readonly Option<RequesterId> s_probeEndpoint = new(
        "probe-endpoint", "bb:dd.f or a 32-bit number", default, RequesterId.TryParse);

    private static readonly OptionSet s_options = new("virtio-iommu", s_dialect, s_pages, s_probeEndpoint);

    /// <summary>Reads the settings and checks the PASID width.</summary>
    /// <returns>The settings; EINVAL, naming what is allowed.</returns>
    public static OpResult<UnitOptions> Read(UnitSetup setup)
    {
        OpResult<OptionValues> read = s_options.Read(setup);
        if (!read.IsOk)
        {
            return OpResult<UnitOptions>.Refuse(read.Outcome);
        }

        OptionValues values = read.Value;
        string dialect = values.Get(s_dialect);
        if (dialect != Map && values.IsSet(s_pages))
        {
            return OpResult<UnitOptions>.Refuse(Errno.EINVAL,
                $"{setup.Name}: option {s_pages.Name} belongs to {s_dialect.Name} = {Map}; the other dialects walk no "
                + "page tables");
        }

        _ = TableDialect.TryParse(dialect, out TableDialect? table);
        return OpResult<UnitOptions>.Ok(new UnitOptions(
            table, values.Get(s_probeEndpoint).Value, dialect == Map ? values.Get(s_pages) : null));
    }
}
