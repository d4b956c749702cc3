// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

/// <summary>The settings of the stand-in device (<see cref="HardwareSetup.Options"/>).</summary>
/// <param name="Dialect">The proposal that it implements; null for a standard-only device.</param>
/// <param name="Endpoints">The endpoints that exist; null for all.</param>
/// <param name="InputBits">Width of the addresses that can be mapped; 64 for no INPUT_RANGE.</param>
internal sealed record HardwareOptions(TableDialect? Dialect, bool Bypass, HashSet<uint>? Endpoints, int InputBits)
{
    private static readonly Option<string> s_dialect = Option.Choice(
        "dialect", V09Dialect.Instance.Name, TableDialect.Words());
    private static readonly Option<bool> s_bypass = Option.Flag("bypass", false);
    private static readonly Option<HashSet<uint>?> s_endpoints = new(
        "endpoints", "a comma-separated list of bb:dd.f or 32-bit numbers", null, TryParseEndpoints);

    private static readonly Option<int> s_inputBits = Option.Number("input-bits", 12, 63, 64);
    private static readonly OptionSet s_options =
        new("virtio-iommu hardware", s_dialect, s_bypass, s_endpoints, s_inputBits);

    public bool Exists(uint endpoint) => Endpoints?.Contains(endpoint) ?? true;

    /// <summary>Last byte that can be mapped.</summary>
    public ulong InputLast => ulong.MaxValue >> (64 - InputBits);

    /// <exception cref="ArgumentException">A name or value is not known, or the PASID width is not 0 to 20; the message
    /// names what is allowed.</exception>
    public static HardwareOptions Read(HardwareSetup setup)
    {
        OptionValues values = s_options.Read(setup);
        _ = TableDialect.TryParse(values.Get(s_dialect), out TableDialect? dialect);
        return new HardwareOptions(dialect, values.Get(s_bypass), values.Get(s_endpoints), values.Get(s_inputBits));
    }

    private static bool TryParseEndpoints(string list, out HashSet<uint>? endpoints)
    {
        endpoints = [];
        foreach (string item in list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!RequesterId.TryParse(item, out RequesterId requester))
            {
                return false;
            }

            endpoints.Add(requester.Value);
        }

        return true;
    }
}
