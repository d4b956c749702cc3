using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

/// <summary>The driver's own settings of one unit, by their names in <see cref="UnitSetup.Options"/>.</summary>
internal sealed record SmmuUnitOptions
{
    /// <summary><c>cmdq-bits</c>: log2 of the commands in the queue, 1 to 19; limited by IDR1.CMDQS.</summary>
    public int CommandQueueLog2 { get; private init; } = 8;

    /// <summary><c>evtq-bits</c>: log2 of the records in the event queue, 1 to 19; limited by IDR1.EVTQS.</summary>
    public int EventQueueLog2 { get; private init; } = 7;

    /// <summary><c>poll-limit</c>: looks at a register without progress before ETIMEDOUT, 1 to 1000000000.</summary>
    public int PollLimit { get; private init; } = 1_000_000;

    /// <summary>Reads the settings.</summary>
    /// <returns>The settings; EINVAL for an unknown name or a value out of range.</returns>
    public static OpResult<SmmuUnitOptions> Parse(IReadOnlyDictionary<string, string> options)
    {
        var result = new SmmuUnitOptions();
        foreach ((string name, string text) in options)
        {
            int limit = name == "poll-limit" ? 1_000_000_000 : 19;
            bool isNumber = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value);
            bool fits = isNumber && value >= 1 && value <= limit;
            switch (name)
            {
                case "cmdq-bits" when fits:
                    result = result with { CommandQueueLog2 = value };
                    break;
                case "evtq-bits" when fits:
                    result = result with { EventQueueLog2 = value };
                    break;
                case "poll-limit" when fits:
                    result = result with { PollLimit = value };
                    break;
                case "cmdq-bits" or "evtq-bits" or "poll-limit":
                    return OpResult<SmmuUnitOptions>.Refuse(Errno.EINVAL,
                        $"option {name} is '{text}', a number from 1 to {limit} is expected");
                default:
                    return OpResult<SmmuUnitOptions>.Refuse(
                        Errno.EINVAL, $"unknown option '{name}'; known are cmdq-bits, evtq-bits, poll-limit");
            }
        }

        return OpResult<SmmuUnitOptions>.Ok(result);
    }
}
