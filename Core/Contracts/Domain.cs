// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>Devices of one unit that share one PASID table. Only the core makes one.</summary>
public abstract class Domain
{
    private protected Domain(int id, string name, int pasidBits, bool isNesting)
    {
        Id = id;
        Name = name;
        PasidBits = pasidBits;
        IsNesting = isNesting;
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
}
