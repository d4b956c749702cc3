// SPDX-License-Identifier: Apache-2.0
using System.Collections.ObjectModel;

namespace PasidFramework.Conformance.Bench;

/// <summary>The back ends that need nothing but memory.</summary>
public static class SoftwareBackEnds
{
    public const string Model = "model";
    public const string StandIn = "stand-in";

    /// <summary>The software model of an architecture where there is one, the driver's own stand-in
    /// otherwise.</summary>
    /// <param name="model">The exported factory; null where there is none.</param>
    public static IHardwareBackEnd For(string architecture, IIommuModelFactory? model, IPasidDriver driver) =>
        model is null ? OfStandIn(architecture, driver) : OfModel(architecture, model);

    public static IHardwareBackEnd OfModel(string architecture, IIommuModelFactory factory)
    {
        ArgumentException.ThrowIfNullOrEmpty(architecture);
        ArgumentNullException.ThrowIfNull(factory);
        return new SoftwareBackEnd(
            Model, architecture, factory.PageTables,
            "The model was written by the authors of the framework, from the specification.",

            // The weakest order that the contract lets hardware have: what is not ordered is seen in any order.
            setup => new ModelMachine(factory.Create(setup, StoreOrder.Weak)));
    }

    /// <summary>The driver's own stand-in, for an architecture without a model. It caches nothing and does not walk
    /// page tables, so that what is about invalidations does not apply.</summary>
    public static IHardwareBackEnd OfStandIn(string architecture, IPasidDriver driver)
    {
        ArgumentException.ThrowIfNullOrEmpty(architecture);
        ArgumentNullException.ThrowIfNull(driver);
        return new SoftwareBackEnd(
            StandIn, architecture, string.Empty,
            "No plug-in exports a software model of this architecture: the driver was judged on its own "
                + "stand-in, which caches nothing and does not walk page tables.",
            setup => new StandInMachine(driver.CreateHardware(new SystemMemory(), setup)));
    }
}

internal sealed class SoftwareBackEnd(
    string name, string architecture, string pageTables, string limits, Func<HardwareSetup, ITestHardware> start)
    : IHardwareBackEnd
{
    public string Name => name;
    public string Architecture => architecture;
    public string PageTables => pageTables;
    public string Limits => limits;

    public OpResult<ITestHardware> Start(HardwareSetup setup)
    {
        ArgumentNullException.ThrowIfNull(setup);
        try
        {
            return OpResult<ITestHardware>.Ok(start(setup));
        }
        catch (ArgumentException e)
        {
            return OpResult<ITestHardware>.Refuse(Errno.EOPNOTSUPP, $"the {name} cannot be like that: {e.Message}");
        }
    }
}

internal sealed class ModelMachine(IIommuModel model) : SoftwareMachine(model)
{
    private int _violations;
    private int _strays;

    public override TestHardwareTraits Traits => TestHardwareTraits.Loads | TestHardwareTraits.ManyPasids
        | TestHardwareTraits.NoPasid | TestHardwareTraits.Silence | TestHardwareTraits.KeepsTranslations
        | TestHardwareTraits.KeepsConfiguration | TestHardwareTraits.DeviceTlbs | TestHardwareTraits.Concurrent
        | TestHardwareTraits.StrayReads | TestHardwareTraits.ManyProcesses | TestHardwareTraits.KeepsRecords
        | TestHardwareTraits.Forgets;

    public override IReadOnlyList<string> TakeViolations()
    {
        string[] found =
        [
            .. model.Violations.Skip(_violations).Select(c => $"{c.Rule}: {c.Message}"),
            .. model.ModelMemory.StrayReads.Skip(_strays).Select(s =>
                Text($"the walker read {(s.WasFreed ? "freed memory" : "no memory")} at 0x{s.Address:x}")),
        ];
        _violations = model.Violations.Count;
        _strays = model.ModelMemory.StrayReads.Count;
        return found;
    }

    public override void ForEachVisible(Action probe) => model.ModelMemory.ForEachVisible(probe);
    public override void DropCaches() => model.DropCaches();

    public override IReadOnlyDictionary<string, ulong> TableRoots(RequesterId requester) =>
        model.TableRoots(requester);
}

internal sealed class StandInMachine(IIommuHardware hardware) : SoftwareMachine(hardware)
{
    public override TestHardwareTraits Traits =>
        TestHardwareTraits.Loads | TestHardwareTraits.ManyPasids | TestHardwareTraits.Silence
        | TestHardwareTraits.ManyProcesses | TestHardwareTraits.KeepsRecords;
}

/// <summary>Hardware in this process: any requester and any PASID.</summary>
internal abstract class SoftwareMachine(IIommuHardware hardware) : ITestHardware
{
    private const int Devices = 16;
    private ulong _nextTarget = 0x4_0000_0000;
    public IReadOnlyList<RequesterId> Requesters { get; } =
        [.. Enumerable.Range(0, Devices).Select(i => new RequesterId((uint)(0x0118 + (i * 0x28))))];

    public abstract TestHardwareTraits Traits { get; }
    public IReadOnlyDictionary<string, string> UnitOptions { get; } = new Dictionary<string, string>();
    public IPhysicalMemory Memory => hardware.Memory;
    public IRegisterFile Registers => hardware.Registers;
    public bool IsCoherent => hardware.IsCoherent;
    public OpResult Prepare(RequesterId requester, Pasid pasid) => OpResult.Ok;

    // Nothing is read or written there, so it need not exist; no page is given twice.
    public OpResult<ulong> AllocateTarget() => OpResult<ulong>.Ok(Interlocked.Add(ref _nextTarget, 0x1000));

    public void FreeTarget(ulong address)
    {
        // There is nothing to give back.
    }

    public bool NamesPasid(RequesterId requester, Pasid pasid) => true;

    public virtual IReadOnlyDictionary<string, ulong> TableRoots(RequesterId requester) =>
        ReadOnlyDictionary<string, ulong>.Empty;

    public virtual IReadOnlyList<string> TakeViolations() => [];
    public virtual void ForEachVisible(Action probe) => probe();

    public virtual void DropCaches()
    {
    }

    public TranslationResult Translate(in DmaAccess access) => hardware.Translate(access);
    public void Dispose() => hardware.Dispose();
}
