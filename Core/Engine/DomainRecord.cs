// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>A domain with what the engine keeps of it.</summary>
internal sealed class DomainRecord : Domain
{
    public DomainRecord(IommuInstance instance, int id, string name, int pasidBits, bool isNesting, PasidSpace space)
        : base(id, name, pasidBits, isNesting)
    {
        Instance = instance;
        Space = space;
        Links = new LinkTable(pasidBits);
    }

    public IommuInstance Instance { get; }
    public PasidSpace Space { get; }

    /// <summary>Serialises the driver's attach, detach, exit and invalidate for this domain; nothing else is held
    /// wider.</summary>
    public SpinGate Gate;

    /// <summary>Links by PASID; changed under <see cref="Gate"/>.</summary>
    public LinkTable Links { get; }

    /// <summary>Devices in the domain; guarded by the engine's topology lock.</summary>
    public List<DeviceRecord> DeviceList { get; } = [];

    public override string ToString() => $"{Instance.Name}/{Name}";
}
