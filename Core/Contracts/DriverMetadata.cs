// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>What a driver says of itself: MEF's view of <see cref="PasidDriverAttribute"/>.</summary>
/// <remarks>MEF needs a concrete class with settable properties.</remarks>
public sealed class DriverMetadata
{
    /// <summary>Name of the driver as users type it.</summary>
    public string Name { get; set; } = string.Empty;

    /// <summary>Name of the PASID table format it writes. Models, table readers and back ends of that name can judge
    /// it.</summary>
    public string TableFormat { get; set; } = string.Empty;

    /// <summary>Widest PASID in bits.</summary>
    public int PasidBits { get; set; }

    /// <summary>The hardware's maker or the standard's owner.</summary>
    public string Vendor { get; set; } = string.Empty;

    /// <summary>What it can do beyond the required part of the contract.</summary>
    public DriverCapabilities Capabilities { get; set; }

    /// <summary>Major version of the contract it was written for.</summary>
    public int ContractMajor { get; set; }

    /// <summary>Minor version of the contract it needs at least.</summary>
    public int ContractMinor { get; set; }
}
