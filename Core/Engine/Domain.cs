using PasidFramework.Allocation;

namespace PasidFramework.Engine;

/// <summary>Devices of one unit that share one PASID table.</summary>
public sealed class Domain
{
    internal Domain(IommuInstance instance, int id, string name, int pasidBits, bool isNesting, PasidSpace space)
    {
        Instance = instance;
        Id = id;
        Name = name;
        PasidBits = pasidBits;
        IsNesting = isNesting;
        Space = space;
    }

    /// <summary>Number of the domain on its unit, from 1; never reused while the unit lives.</summary>
    public int Id { get; }

    /// <summary>Name for messages.</summary>
    public string Name { get; }

    /// <summary>Width of its PASID table in bits, 1 to 20.</summary>
    public int PasidBits { get; }

    /// <summary>Whether a guest owns its tables; such a domain refuses bindings (EINVAL).</summary>
    public bool IsNesting { get; }

    /// <summary>A place for the driver to keep its record of the domain.</summary>
    public object? DriverState { get; set; }

    /// <summary>The unit it belongs to.</summary>
    public IommuInstance Instance { get; }

    /// <summary>The space in which its numbers have their meaning.</summary>
    public PasidSpace Space { get; }

    /// <summary>Serialises the driver's attach, detach, exit and invalidate for this domain; nothing else is held wider.</summary>
    internal SpinGate Gate;

    /// <summary>Links by PASID; guarded by <see cref="Gate"/>.</summary>
    internal Dictionary<uint, IommuContext> Contexts { get; } = [];

    /// <summary>Devices in the domain; guarded by the engine's topology lock.</summary>
    internal List<Device> DeviceList { get; } = [];

    /// <summary>The domain's name and unit.</summary>
    public override string ToString() => $"{Instance.Name}/{Name}";
}
