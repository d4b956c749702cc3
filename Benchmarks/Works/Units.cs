// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;
using PasidFramework.Drivers.ArmSmmu;
using PasidFramework.Drivers.ArmSmmu.Tables;
using PasidFramework.Drivers.IntelVtd;
using PasidFramework.Drivers.IntelVtd.Tables;

namespace PasidFramework.Benchmarks.Works;

/// <summary>Units and table formats by kind.</summary>
internal static class Units
{
    /// <summary>Processes that a unit can have bound at once: an SMMU has 16-bit ASIDs, and 0 is none.</summary>
    public static int MaxProcesses(UnitKind kind) => kind == UnitKind.ArmSmmu ? ushort.MaxValue : Numbers.Space;

    /// <summary>Starts a unit on hardware and memory of its own.</summary>
    public static IIommuUnit Start(UnitKind kind, string name)
    {
        IPasidDriver driver;
        switch (kind)
        {
            case UnitKind.Empty:
                return new EmptyUnit(name);
            case UnitKind.IntelVtd:
                driver = new VtdDriver();
                break;
            default:
                driver = new SmmuDriver();
                break;
        }

        IIommuHardware hardware = driver.CreateHardware(new SystemMemory(), new HardwareSetup());
        return Ok(driver.CreateUnit(new UnitSetup { Name = name, Hardware = hardware }));
    }

    /// <summary>The writer of a kind's PASID tables.</summary>
    public static IPasidTableFormat Format(UnitKind kind) =>
        kind == UnitKind.IntelVtd ? new VtdTableFormat() : new SmmuTableFormat();

    /// <summary>The name of a kind's driver.</summary>
    public static string NameOf(UnitKind kind) => kind switch
    {
        UnitKind.IntelVtd => "intel-vtd",
        UnitKind.ArmSmmu => "arm-smmu",
        _ => "empty driver",
    };

    /// <summary>A value that nothing can refuse here.</summary>
    public static T Ok<T>(OpResult<T> result) =>
        result.IsOk ? result.Value : throw new InvalidOperationException(result.Outcome.ToString());

    /// <summary>Success that nothing can refuse here.</summary>
    public static void Ok(OpResult result)
    {
        if (!result.IsOk)
        {
            throw new InvalidOperationException(result.ToString());
        }
    }
}
