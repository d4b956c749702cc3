// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using System.Reflection.Emit;
using System.Text;

namespace PasidFramework.Hosting.Tests;

/// <summary>
/// Plug-ins with one fault each, written as assembly files without a compiler. Interface methods of theirs throw when
/// they are called, which loading does not do.
/// </summary>
internal sealed class EmittedAssembly
{
    private readonly PersistedAssemblyBuilder _assembly;
    private readonly ModuleBuilder _module;
    private readonly Contract _contract;

    public EmittedAssembly(string name, Contract? contract = null)
    {
        _contract = contract ?? Contract.Host;
        _assembly = new PersistedAssemblyBuilder(
            new AssemblyName(name) { Version = new Version(3, 2, 1, 0) }, _contract.CoreLibrary);
        _module = _assembly.DefineDynamicModule(name);
    }

    /// <summary>The contract that a plug-in is compiled against.</summary>
    public sealed record Contract(
        Assembly CoreLibrary,
        Type Object,
        Type Driver,
        ConstructorInfo DriverAttribute,
        Type TableFormat,
        ConstructorInfo TableFormatAttribute,
        Type Allocator,
        ConstructorInfo AllocatorAttribute)
    {
        public static Contract Host { get; } = new(
            typeof(object).Assembly,
            typeof(object),
            typeof(IPasidDriver),
            typeof(PasidDriverAttribute).GetConstructors().Single(),
            typeof(IPasidTableFormat),
            typeof(PasidTableFormatAttribute).GetConstructors().Single(),
            typeof(IPasidAllocatorFactory),
            typeof(PasidAllocatorAttribute).GetConstructors().Single());
    }

    /// <summary>Adds a class.</summary>
    /// <param name="name">Its full name.</param>
    /// <param name="implements">Interfaces; their members throw when called.</param>
    /// <param name="attributes">Of the class.</param>
    /// <param name="constructor">Accessibility of its constructor.</param>
    /// <param name="parameters">Parameters of its constructor.</param>
    /// <param name="importing">Whether the constructor is an importing one.</param>
    /// <param name="parent">Base class.</param>
    /// <param name="export">Adds the exports.</param>
    /// <param name="body">Instructions of the constructor after the call of the base class's; returns by
    /// default.</param>
    public TypeBuilder AddClass(
        string name,
        Type[]? implements = null,
        TypeAttributes attributes = TypeAttributes.Public,
        MethodAttributes constructor = MethodAttributes.Public,
        Type[]? parameters = null,
        bool importing = false,
        Type? parent = null,
        Action<TypeBuilder>? export = null,
        Action<ILGenerator>? body = null)
    {
        TypeBuilder type =
            _module.DefineType(name, attributes | TypeAttributes.Class, parent ?? _contract.Object, implements);
        export?.Invoke(type);
        ConstructorBuilder made = type.DefineConstructor(constructor, CallingConventions.Standard, parameters ?? []);
        if (importing)
        {
            made.SetCustomAttribute(
                typeof(System.Composition.ImportingConstructorAttribute).GetConstructor([])!, [1, 0, 0, 0]);
        }

        ILGenerator code = made.GetILGenerator();
        code.Emit(OpCodes.Ldarg_0);
        code.Emit(OpCodes.Call, (parent ?? _contract.Object).GetConstructor(
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic, [])!);
        body?.Invoke(code);
        code.Emit(OpCodes.Ret);
        foreach (MethodInfo method in (implements ?? []).SelectMany(contract => contract.GetMethods()))
        {
            ParameterInfo[] given = method.GetParameters();
            MethodBuilder implementation = type.DefineMethod(
                method.Name,
                MethodAttributes.Public | MethodAttributes.Virtual | MethodAttributes.Final | MethodAttributes.NewSlot,
                method.ReturnType,
                [.. given.Select(parameter => parameter.ParameterType)]);
            ILGenerator thrower = implementation.GetILGenerator();
            thrower.Emit(OpCodes.Ldnull);
            thrower.Emit(OpCodes.Throw);
            type.DefineMethodOverride(implementation, method);
        }

        type.CreateType();
        return type;
    }

    /// <summary>Adds a correct driver class, but for what the caller changes.</summary>
    public TypeBuilder AddDriver(
        string name,
        string driver,
        string format = "emitted-table",
        int bits = 20,
        MethodAttributes constructor = MethodAttributes.Public,
        Type[]? parameters = null,
        bool importing = false,
        Action<ILGenerator>? body = null) => AddClass(name,
            [_contract.Driver],
            constructor: constructor,
            parameters: parameters,
            importing: importing,
            export: type => ExportDriver(type, driver, format, bits),
            body: body);

    /// <summary>Marks a class as a driver.</summary>
    /// <param name="type">The class.</param>
    /// <param name="driver">Name of the driver.</param>
    /// <param name="format">Name of its table format.</param>
    /// <param name="bits">PASID width in bits.</param>
    /// <param name="number">A further property of type int, or null.</param>
    public void ExportDriver(TypeBuilder type, string? driver, string? format, int bits, string? number = null)
    {
        byte[] positional = [1, 0, .. Text(driver), .. Text(format), .. BitConverter.GetBytes(bits)];

        // ECMA-335 II.23.3: a named argument is PROPERTY (0x54), its type (ELEMENT_TYPE_I4 is 0x08), its name and its
        // value.
        byte[] named = number is null ? [0, 0] : [1, 0, 0x54, 0x08, .. Text(number), .. BitConverter.GetBytes(1)];
        type.SetCustomAttribute(_contract.DriverAttribute, [.. positional, .. named]);
    }

    public void ExportTableFormat(TypeBuilder type, string name) =>
        type.SetCustomAttribute(_contract.TableFormatAttribute, [1, 0, .. Text(name), 0, 0]);

    public void ExportAllocator(TypeBuilder type, string name) =>
        type.SetCustomAttribute(_contract.AllocatorAttribute, [1, 0, .. Text(name), 0, 0]);

    public string Save(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _assembly.Save(path);
        return path;
    }

    // ECMA-335 II.23.3: SerString is a packed length and UTF-8 bytes, 0xFF for null.
    private static byte[] Text(string? text) => text is null
        ? [0xFF]
        : [checked((byte)Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];
}
