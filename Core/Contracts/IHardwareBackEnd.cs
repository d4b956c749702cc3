// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// A kind of hardware that any driver of an architecture can be run on to be judged: a software model, an emulator.
/// </summary>
public interface IHardwareBackEnd
{
    /// <summary>Its name in reports, such as <c>model</c> or <c>qemu-10.0.13</c>: one word.</summary>
    string Name { get; }

    /// <summary>The architecture: the table format that a driver for it states in
    /// <see cref="PasidDriverAttribute.TableFormat"/>.</summary>
    string Architecture { get; }

    /// <summary>Name of the page table format that it walks; empty where it stops at the root of the process's page
    /// table.</summary>
    string PageTables { get; }

    /// <summary>What a passed case on it does not show: whole sentences for the report; empty where there is nothing to
    /// say.</summary>
    string Limits { get; }

    /// <summary>Starts one machine.</summary>
    /// <param name="setup">What its IOMMU is to report.</param>
    /// <returns>The machine; EOPNOTSUPP with the reason where it cannot be like that, so that a case does not
    /// apply.</returns>
    /// <exception cref="HardwareException">It did not start.</exception>
    OpResult<ITestHardware> Start(HardwareSetup setup);
}
