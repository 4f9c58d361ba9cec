if (location.hash) for (const field of document.getElementsByName("rd")) field.value = field.value.split("#")[0] + location.hash;
