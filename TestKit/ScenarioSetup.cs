// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit;

/// <summary>What a scenario runs on.</summary>
public sealed record ScenarioSetup
{
    public required IPasidDriver Driver { get; init; }
    public required IIommuModelFactory Model { get; init; }
    public required IPageTableFormat PageTables { get; init; }

    /// <summary>What the model reports; its coherence decides that of the memory.</summary>
    public HardwareSetup Hardware { get; init; } = new();

    public IReadOnlyDictionary<string, string> UnitOptions { get; init; } = new Dictionary<string, string>();
    public StoreOrder Order { get; init; } = StoreOrder.Immediate;
    public string Ownership { get; init; } = PasidOptions.OwnershipCore;

    /// <summary>Features of the devices A and C; B has none.</summary>
    public DeviceFeatures Features { get; init; } = DeviceFeatures.Ats;

    /// <summary>Probe between any two of the driver's stores, flushes and barriers.</summary>
    public bool Torn { get; init; } = true;

    /// <summary>Whether an access after the exit of its process is aborted without a record (D12).</summary>
    public bool QuietExit { get; init; } = true;

    public IReadOnlyList<RequesterId> Requesters { get; init; } =
        [new RequesterId(0x0118), new RequesterId(0x0120), new RequesterId(0x0290)];

    /// <summary>Called after every step; what it returns is a failure.</summary>
    public Func<IIommuModel, string?>? Check { get; init; }

    internal OpResult<IIommuUnit> CreateUnit(
        IIommuHardware hardware, IReadOnlyDictionary<string, string>? options = null) => Driver.CreateUnit(
        new UnitSetup { Name = "unit0", Hardware = hardware, Options = options ?? UnitOptions });
}
