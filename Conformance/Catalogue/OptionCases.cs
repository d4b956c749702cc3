// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>Settings are taken or refused, never ignored.</summary>
internal static class OptionCases
{
    private const string Unknown = "no-such-option";
    private static readonly CaseFamily s_family = new("options", "OPT", needsHardware: false);
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "UnitSetup.Options", "An unknown option of a unit is EINVAL, by name", UnitOption),
        s_family.Required(2, "HardwareSetup.Options", "An unknown option of the stand-in is refused, by name",
            HardwareOption),
        s_family.Required(3, "UnitSetup.PasidBits", "The caller's limit of the width counts", Limit),
        s_family.Required(4, "UnitSetup.Name", "The unit has the name that it was given", Name),
    ];

    private static void UnitOption(CaseContext context)
    {
        using StandIn stand = StandIn.Bare(context);
        long held = stand.Memory.HeldBytes;
        OpResult<IIommuUnit> unit = stand.CreateUnit(new Dictionary<string, string> { [Unknown] = "1" });
        unit.Value?.Dispose();
        context.Check(unit.Errno == Errno.EINVAL, $"unit option '{Unknown}': {unit.Errno}, must be EINVAL");
        context.Check(unit.Reason!.Contains(Unknown), $"the refusal does not name the option: {unit.Reason}");
        context.Check(stand.Memory.HeldBytes == held, $"the refusal keeps {stand.Memory.HeldBytes - held} bytes");
    }

    private static void HardwareOption(CaseContext context)
    {
        try
        {
            using IIommuHardware hardware = context.Subject.Driver.CreateHardware(new SystemMemory(), new HardwareSetup
            {
                Options = new Dictionary<string, string> { [Unknown] = "1" },
            });
        }
        catch (ArgumentException e)
        {
            context.Check(e.Message.Contains(Unknown), $"the refusal does not name the option: {e.Message}");
            return;
        }

        context.Fail($"hardware option '{Unknown}' was accepted, must be an ArgumentException");
    }

    private static void Limit(CaseContext context)
    {
        foreach (int bits in new[] { 20, 12, 7, 1 })
        {
            using StandIn stand = StandIn.Bare(context);
            OpResult<IIommuUnit> made = stand.CreateUnit(pasidBits: bits);
            context.Check(made.IsOk, $"PasidBits {bits}: {made.Reason} ({made.Errno})");
            using IIommuUnit unit = made.Value!;
            context.Check(unit.PasidBits >= 1 && unit.PasidBits <= bits,
                $"PasidBits {bits}: the unit has {unit.PasidBits}");
        }
    }

    private static void Name(CaseContext context)
    {
        using StandIn stand = StandIn.Bare(context);
        OpResult<IIommuUnit> made = stand.CreateUnit(name: "some-unit");
        context.Check(made.IsOk, $"CreateUnit: {made.Reason} ({made.Errno})");
        using IIommuUnit unit = made.Value!;
        context.Check(unit.Name == "some-unit", $"the unit is called '{unit.Name}', must be 'some-unit'");
    }
}
