using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>The vendor-specific settings of <see cref="UnitSetup.Options"/>.</summary>
internal sealed record VtdUnitOptions
{
    private const string Names = "queue-pages-log2, rid-pasid, timeout-ms";

    /// <summary>The invalidation queue has 2^this pages of 4 KiB, 128 descriptors each (IQA.QS, 0 to 7).</summary>
    public int QueuePagesLog2 { get; private init; } = 1;

    /// <summary>PASID of requests without one.</summary>
    public Pasid RidPasid { get; private init; }

    /// <summary>How long the hardware may take to answer.</summary>
    public TimeSpan Timeout { get; private init; } = TimeSpan.FromSeconds(1);

    /// <summary>Reads the settings.</summary>
    /// <returns>The settings; EINVAL for an unknown name or a value out of its range.</returns>
    public static OpResult<VtdUnitOptions> Read(IReadOnlyDictionary<string, string> options)
    {
        var result = new VtdUnitOptions();
        foreach ((string name, string value) in options)
        {
            int limit = name switch
            {
                "queue-pages-log2" => 7,
                "rid-pasid" => (int)Pasid.MaxValue,
                "timeout-ms" => 60_000,
                _ => -1,
            };
            if (limit < 0)
            {
                return OpResult<VtdUnitOptions>.Refuse(
                    Errno.EINVAL, $"intel-vtd has no option '{name}'; it has {Names}");
            }

            int least = name == "timeout-ms" ? 1 : 0;
            if (!int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                || number < least || number > limit)
            {
                return OpResult<VtdUnitOptions>.Refuse(
                    Errno.EINVAL, $"option {name} is '{value}', it must be a number from {least} to {limit}");
            }

            result = name switch
            {
                "queue-pages-log2" => result with { QueuePagesLog2 = number },
                "rid-pasid" => result with { RidPasid = new Pasid((uint)number) },
                _ => result with { Timeout = TimeSpan.FromMilliseconds(number) },
            };
        }

        return OpResult<VtdUnitOptions>.Ok(result);
    }
}
