using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Results;

namespace PasidFramework.Drivers.Reference.Unit;

/// <summary>The settings of <see cref="UnitSetup.Options"/>.</summary>
/// <param name="RequesterBits">The device table has 2^this entries.</param>
/// <param name="Timeout">How long the hardware may take to answer.</param>
internal sealed record UnitOptions(int RequesterBits, TimeSpan Timeout)
{
    /// <summary>Reads the settings.</summary>
    /// <returns>The settings; EINVAL for an unknown name or a value out of its range.</returns>
    public static OpResult<UnitOptions> Read(IReadOnlyDictionary<string, string> options)
    {
        int requesterBits = DeviceTable.MostLog2;
        int milliseconds = 1000;
        foreach ((string name, string value) in options)
        {
            OpResult result = name switch
            {
                "requester-bits" => Number(name, value, DeviceTable.MostLog2, ref requesterBits),
                "timeout-ms" => Number(name, value, 60_000, ref milliseconds),
                _ => OpResult.Refuse(
                    Errno.EINVAL, $"reference has no option '{name}'; it has requester-bits, timeout-ms"),
            };
            if (!result.IsOk)
            {
                return OpResult<UnitOptions>.Refuse(result);
            }
        }

        return OpResult<UnitOptions>.Ok(new UnitOptions(requesterBits, TimeSpan.FromMilliseconds(milliseconds)));
    }

    private static OpResult Number(string name, string value, int most, ref int number) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int read) && read >= 1 && read <= most
            ? Take(read, out number)
            : OpResult.Refuse(Errno.EINVAL, $"option {name} is '{value}', it must be a number from 1 to {most}");

    private static OpResult Take(int read, out int number)
    {
        number = read;
        return OpResult.Ok;
    }
}
